#include "railyard/nn/linear.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "nn/layers/product.h"
#include "nn/tensor/check.h"
#include "nn/tensor/pieces.h"

namespace railyard::nn {
namespace {

void check_bias(const std::optional<Array>& bias, int64_t out) {
  if (bias && bias->shape() != Shape{out}) {
    fail("Linear",
         fmt::format("a bias of shape {}; the weight needs [{}]", text_of(bias->shape()), out));
  }
}

// Where a layer's weight, seen as [out, in], is cut.
std::vector<Piece> cut(Sharding sharding, int64_t out, int64_t in, int64_t unit, const Group& group,
                       const Segments& segments) {
  if (sharding == Sharding::all_to_sharded) {
    return pieces_of(out, segments, group, 1, "an output dimension");
  }
  return pieces_of(in, segments, group, unit, "an input dimension");
}

std::optional<Array> cut_bias(const std::optional<Array>& bias, Sharding sharding,
                              const std::vector<Piece>& pieces) {
  if (!bias || sharding == Sharding::sharded_to_all) return bias;
  return take(*bias, 0, pieces);
}

template <typename WholeLayer>
std::unique_ptr<LinearLayer> sharded(const WholeLayer& whole, Sharding sharding, Group& group,
                                     const Segments& segments) {
  WholeLayer local = whole.shard(sharding, group, segments);
  if (sharding == Sharding::all_to_sharded) {
    return std::make_unique<AllToSharded<WholeLayer>>(std::move(local), group);
  }
  return std::make_unique<ShardedToAll<WholeLayer>>(std::move(local), group);
}

}  // namespace

Linear::Linear(Array weight, std::optional<Array> bias)
    : weight_(std::move(weight)), bias_(std::move(bias)) {
  if (weight_.dimensions() != 2) {
    fail("Linear",
         fmt::format("a weight of shape {}; a matrix is needed", text_of(weight_.shape())));
  }
  check_bias(bias_, weight_.extent(0));
}

Array Linear::forward(const Array& x) const { return product(x, RowBlocks(weight_), bias_); }

LinearGradients Linear::backward(const Array& x, const Array& dy) const {
  LinearGradients gradients;
  gradients.input = input_gradient(dy, RowBlocks(weight_));
  gradients.weight = weight_gradient(x, dy, weight_.dtype());
  if (bias_) gradients.bias = bias_gradient(dy, bias_->dtype());
  return gradients;
}

Linear Linear::shard(Sharding sharding, const Group& group, const Segments& segments) const {
  const auto pieces = cut(sharding, weight_.extent(0), weight_.extent(1), 1, group, segments);
  const int axis = sharding == Sharding::all_to_sharded ? 0 : 1;
  return Linear(take(weight_, axis, pieces), cut_bias(bias_, sharding, pieces));
}

QuantizedLinear::QuantizedLinear(QuantizedArray weight, std::optional<Array> bias)
    : weight_(std::move(weight)), bias_(std::move(bias)) {
  check_bias(bias_, weight_.out());
}

Array QuantizedLinear::forward(const Array& x) const {
  return product(x, RowBlocks(weight_), bias_);
}

LinearGradients QuantizedLinear::backward(const Array&, const Array& dy) const {
  LinearGradients gradients;
  gradients.input = input_gradient(dy, RowBlocks(weight_));
  if (bias_) gradients.bias = bias_gradient(dy, bias_->dtype());
  return gradients;
}

QuantizedLinear QuantizedLinear::shard(Sharding sharding, const Group& group,
                                       const Segments& segments) const {
  const int64_t in = weight_.in();
  const auto pieces =
      cut(sharding, weight_.out(), in, weight_.quantization().group_size, group, segments);
  const int axis = sharding == Sharding::all_to_sharded ? 0 : 1;
  const auto part = [&](const Array& array) {
    return take(array, axis, axis == 0 ? pieces : scaled(pieces, in, array.extent(1)));
  };
  return QuantizedLinear({part(weight_.packed()), part(weight_.scales()), part(weight_.biases()),
                          weight_.quantization()},
                         cut_bias(bias_, sharding, pieces));
}

template <typename LocalLayer>
Array ShardedToAll<LocalLayer>::forward(const Array& x) const {
  Array y = output_.forward(local_.forward(x));
  return bias_ ? plus_bias(y, *bias_) : y;
}

template <typename LocalLayer>
LinearGradients ShardedToAll<LocalLayer>::backward(const Array& x, const Array& dy) const {
  LinearGradients gradients = local_.backward(x, output_.backward(dy));
  if (bias_) gradients.bias = bias_gradient(dy, bias_->dtype());
  return gradients;
}

template class ShardedToAll<Linear>;
template class ShardedToAll<QuantizedLinear>;

std::unique_ptr<LinearLayer> shard_linear(const Linear& whole, Sharding sharding, Group& group,
                                          const Segments& segments) {
  return sharded(whole, sharding, group, segments);
}

std::unique_ptr<LinearLayer> shard_linear(const QuantizedLinear& whole, Sharding sharding,
                                          Group& group, const Segments& segments) {
  return sharded(whole, sharding, group, segments);
}

}  // namespace railyard::nn
