// A run held against its scenario's expectations.
#pragma once

#include "railyard/run.h"

namespace railyard::harness {

// Wrong or differing results, in a diagnosis of their own; nullopt: all agree.
std::optional<Diagnosis> check_data(const std::vector<RankReport>& ranks);

// Fills `failures` and `passed`.
void check_expectations(const Scenario& scenario, RunReport& report);

// Whether the scenario says how this rank ends by itself: then a stuck run is left to that end.
bool expects_end(const Scenario& scenario, int rank);

}  // namespace railyard::harness
