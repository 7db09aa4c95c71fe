// Runs a plan: a process for each rank, and a controller that lets them act one at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model.h"
#include "plan.h"

namespace railyard::fuzz {

struct Outcome {
  std::optional<std::string> violation;
  int step = -1;  // where it was found; the number of steps: at the end
  Model::Marks marks;
};

// Runs the steps that `keep` has; an empty `keep` has all.
Outcome run(const Plan& plan, const std::vector<bool>& keep);

}  // namespace railyard::fuzz
