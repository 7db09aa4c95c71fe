// What of a scenario's changes to its profile the pass-through library can make true on a device.
#pragma once

#include <string>
#include <vector>

#include "railyard/scenario.h"

namespace railyard::harness {

// Rules in the library's language, for every rank. `reason` says what cannot be made; empty: all
// can.
std::vector<std::string> profile_limits(const Scenario& scenario, std::string& reason);

}  // namespace railyard::harness
