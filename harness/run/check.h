// A run held against its scenario's expectations.
#pragma once

#include "railyard/run.h"

namespace railyard::harness {

// Wrong or differing results, in a diagnosis of their own; nullopt: all agree.
std::optional<Diagnosis> check_data(const std::vector<RankReport>& ranks);

// Fills `failures` and `passed`.
void check_expectations(const Scenario& scenario, RunReport& report);

// Whether the scenario wants the ranks to end by themselves, so that a stuck run is left to its
// end.
bool expects_ends(const Scenario& scenario);

}  // namespace railyard::harness
