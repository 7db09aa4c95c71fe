// The two places at which tensor-parallel layers meet the group, each with its gradient.
//
// Where a value is the same on every rank and each uses it for its own part of a computation, its
// gradient is the sum of all ranks' gradients; where a value is a sum over ranks, its gradient is
// the same on each. Both block where they sum, as Group::all_sum does, and throw what it throws.
#pragma once

#include "railyard/group.h"
#include "railyard/nn/array.h"

namespace railyard::nn {

// Before a part-wise computation: forward is the identity, backward the sum over all ranks.
// (mlx.nn.layers.distributed.sum_gradients)
class SumGradients {
 public:
  explicit SumGradients(Group& group) : group_(&group) {}
  const Array& forward(const Array& x) const { return x; }
  Array backward(Array dy) const;

 private:
  Group* group_;
};

// After a part-wise computation: forward is the sum over all ranks, backward the identity.
class SumActivations {
 public:
  explicit SumActivations(Group& group) : group_(&group) {}
  Array forward(Array x) const;
  const Array& backward(const Array& dy) const { return dy; }

 private:
  Group* group_;
};

}  // namespace railyard::nn
