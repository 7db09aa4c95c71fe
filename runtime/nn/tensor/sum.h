// Sums of arrays over ranks.
#pragma once

#include "railyard/group.h"
#include "railyard/nn/array.h"

namespace railyard::nn {

// The sum over all ranks, sent and added in `wire`, in the array's own dtype. Throws what
// Group::all_sum throws.
Array sum_over_ranks(Array array, Group& group, Dtype wire);

}  // namespace railyard::nn
