#include "nn/tensor/sum.h"

#include "railyard/nn/collective_pair.h"

namespace railyard::nn {

Array sum_over_ranks(Array array, Group& group, Dtype wire) {
  const Dtype dtype = array.dtype();
  if (wire != dtype) array = array.as(wire);
  group.all_sum(array.data(), array.data(), array.bytes(), wire);
  if (wire != dtype) array = array.as(dtype);
  return array;
}

Array SumGradients::backward(Array dy) const {
  const Dtype dtype = dy.dtype();
  return sum_over_ranks(std::move(dy), *group_, dtype);
}

Array SumActivations::forward(Array x) const {
  const Dtype dtype = x.dtype();
  return sum_over_ranks(std::move(x), *group_, dtype);
}

}  // namespace railyard::nn
