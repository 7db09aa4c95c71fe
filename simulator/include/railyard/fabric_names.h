// Names for what the fabric gives as numbers. Thread-safe; nothing fails.
#pragma once

#include <string>
#include <vector>

#include "railyard/fabric.h"

namespace railyard::fabric {

// Of enum ibv_wc_status, by number: "IBV_WC_SUCCESS", ...
std::vector<std::string> completion_status_names();

// One of them, in words: "queue pair".
const char* resource_name(Resource resource);

}  // namespace railyard::fabric
