// Who waits for whom.
#pragma once

#include <vector>

#include "diagnosis/diagnose.h"
#include "railyard/record.h"

namespace railyard::harness {

// The edges from every live rank that waits, one per rank waited for and port.
std::vector<Wait> wait_graph(const Evidence& evidence);

}  // namespace railyard::harness
