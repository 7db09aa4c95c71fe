// What a worker does in one iteration of an operation of its workload, and how it knows that the
// result is right.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "railyard-rank/digest.h"
#include "railyard-rank/inputs.h"
#include "railyard/group.h"
#include "worker/progress.h"
#include "worker/result.h"
#include "worker/work.h"

namespace railyard::rank {

using Finding = std::optional<worker::Mismatch>;

// What the tasks of a rank share. Outlives them.
struct Context {
  Group& group;
  worker::Progress& progress;
  uint64_t seed = 1;

  // Buffers grow to the largest operation and stay: a real program's do, too.
  SumCheck sum_check = {};
  std::vector<uint8_t> input = {};
  std::vector<uint8_t> output = {};

  // What an iteration of the workload's operation `operation` draws its inputs from.
  Draw draw(uint32_t operation, uint32_t iteration) const {
    return {seed, operation, iteration, group.size(), false};
  }
};

class Task {
 public:
  virtual ~Task() = default;

  // Carries out the draw's iteration with all other ranks. Returns the first wrong number; adds to
  // the digest what every rank that takes part must have alike. Throws what the group throws.
  virtual Finding step(const Draw& draw, Digest& digest) = 0;
};

// `draw` gives a model its weights; the same for all ranks. `operation` must outlive the task.
std::unique_ptr<Task> make_task(const worker::Operation& operation, const Draw& draw,
                                Context& context);

}  // namespace railyard::rank
