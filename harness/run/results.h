// What the ranks left behind: their result files.
#pragma once

#include <string>

#include "railyard/run.h"

namespace railyard::harness {

// Fills the report's result fields; a file that is absent or broken leaves `has_result` false.
void read_result(const std::string& file, RankReport& report);

// The text of the work file that a scenario's ranks read.
std::string work_text(const Scenario& scenario, uint64_t seed);

}  // namespace railyard::harness
