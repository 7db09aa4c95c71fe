// Data-parallel training: the mean of all ranks' gradients.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "railyard/group.h"
#include "railyard/nn/array.h"
#include "railyard/nn/shard.h"

namespace railyard::nn {

struct AverageOptions {
  // Small arrays are sent together: consecutive ones until there are this many bytes of them, as
  // they go over the wire. 0: every array by itself. MLX's default.
  size_t batch_bytes = size_t{32} << 20;
  // Sent and added in this floating-point dtype; none: in the arrays' own. Narrower dtypes halve
  // the traffic and round the sum.
  std::optional<Dtype> wire = {};
};

// Replaces every array by its mean over the ranks. All ranks must pass the same shapes and dtypes
// in the same order. Arrays of mixed dtypes are not batched. Returns how many all_sum calls that
// took; none in a group of one, which leaves all as it was.
//
// Blocks as Group::all_sum does and throws what it throws; some arrays may then be averaged and
// others not. Other errors: see railyard/nn/array.h.
size_t average_gradients(std::vector<Array>& gradients, Group& group,
                         const AverageOptions& options = {});
// In the order of their paths.
size_t average_gradients(Parameters& gradients, Group& group, const AverageOptions& options = {});

}  // namespace railyard::nn
