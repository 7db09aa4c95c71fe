// What a device did, held against what the scenario's profile says that such a device does.
#pragma once

#include <string>
#include <vector>

#include "railyard/run.h"
#include "railyard/scenario.h"

namespace railyard::harness {

// Reads the pass-through library's record of one rank. One entry for each device and each rule that
// the run exercised; what the harness's own rules refused is left out.
std::vector<ConformanceEntry> conformance_of(const Scenario& scenario, const std::string& host,
                                             const std::string& record);

}  // namespace railyard::harness
