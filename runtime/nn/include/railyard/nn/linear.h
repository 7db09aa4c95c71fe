// Linear layers: y = x wᵀ + b, whole or cut over the ranks of a group.
//
// x is [..., in] and y [..., out]; weights are [out, in] and biases [out], as in MLX. Products are
// summed in float32 and rounded to the dtype of x, which is also that of y.
//
// Thread-safety: layers are immutable; their methods may be called from several threads. Those that
// sum over ranks say so: they block as Group::all_sum does and throw what it throws. The group must
// outlive the layer. Other errors: see railyard/nn/array.h.
#pragma once

#include <memory>
#include <optional>

#include "railyard/group.h"
#include "railyard/nn/array.h"
#include "railyard/nn/collective_pair.h"
#include "railyard/nn/quantized_array.h"
#include "railyard/nn/shard.h"

namespace railyard::nn {

// What the loss changes by per change of each. Quantised weights have no gradient.
struct LinearGradients {
  Array input;
  std::optional<Array> weight;
  std::optional<Array> bias;
};

class Layer {
 public:
  virtual ~Layer() = default;
  virtual Array forward(const Array& x) const = 0;
};

class LinearLayer : public Layer {
 public:
  // From the input of forward() and the gradient of its output.
  virtual LinearGradients backward(const Array& x, const Array& dy) const = 0;
};

class Linear final : public LinearLayer {
 public:
  explicit Linear(Array weight, std::optional<Array> bias = {});
  Array forward(const Array& x) const override;
  LinearGradients backward(const Array& x, const Array& dy) const override;

  // This rank's part of the layer; of sharded_to_all every rank has the whole bias.
  Linear shard(Sharding sharding, const Group& group, const Segments& segments = {}) const;
  Linear without_bias() const { return Linear(weight_); }

  const Array& weight() const { return weight_; }
  const std::optional<Array>& bias() const { return bias_; }

 private:
  Array weight_;
  std::optional<Array> bias_;
};

class QuantizedLinear final : public LinearLayer {
 public:
  explicit QuantizedLinear(QuantizedArray weight, std::optional<Array> bias = {});
  Array forward(const Array& x) const override;
  LinearGradients backward(const Array& x, const Array& dy) const override;

  // As above. With sharded_to_all each rank's part of each segment must be whole groups.
  QuantizedLinear shard(Sharding sharding, const Group& group, const Segments& segments = {}) const;
  QuantizedLinear without_bias() const { return QuantizedLinear(weight_); }

  const QuantizedArray& weight() const { return weight_; }
  const std::optional<Array>& bias() const { return bias_; }

 private:
  QuantizedArray weight_;
  std::optional<Array> bias_;
};

// Column-parallel: every rank has rows of the weight and computes these features of the output.
// forward() exchanges nothing; backward() sums the input's gradient over the ranks.
template <typename LocalLayer>
class AllToSharded final : public LinearLayer {
 public:
  // `local` is this rank's part.
  AllToSharded(LocalLayer local, Group& group) : local_(std::move(local)), input_(group) {}
  static AllToSharded of(const LocalLayer& whole, Group& group, const Segments& segments = {}) {
    return {whole.shard(Sharding::all_to_sharded, group, segments), group};
  }

  Array forward(const Array& x) const override { return local_.forward(input_.forward(x)); }
  LinearGradients backward(const Array& x, const Array& dy) const override {
    LinearGradients gradients = local_.backward(x, dy);
    gradients.input = input_.backward(std::move(gradients.input));
    return gradients;
  }

  const LocalLayer& local() const { return local_; }

 private:
  LocalLayer local_;
  SumGradients input_;
};

// Row-parallel: every rank has columns of the weight and these features of the input. forward()
// sums the products over the ranks, in the dtype of x, and adds the bias once, after that;
// backward() exchanges nothing.
template <typename LocalLayer>
class ShardedToAll final : public LinearLayer {
 public:
  // `local` is this rank's part, its bias the same on every rank.
  ShardedToAll(LocalLayer local, Group& group)
      : local_(local.without_bias()), bias_(local.bias()), output_(group) {}
  static ShardedToAll of(const LocalLayer& whole, Group& group, const Segments& segments = {}) {
    return {whole.shard(Sharding::sharded_to_all, group, segments), group};
  }

  Array forward(const Array& x) const override;
  LinearGradients backward(const Array& x, const Array& dy) const override;

  const LocalLayer& local() const { return local_; }
  const std::optional<Array>& bias() const { return bias_; }

 private:
  LocalLayer local_;
  std::optional<Array> bias_;
  SumActivations output_;
};

extern template class ShardedToAll<Linear>;
extern template class ShardedToAll<QuantizedLinear>;

using AllToShardedLinear = AllToSharded<Linear>;
using ShardedToAllLinear = ShardedToAll<Linear>;
using QuantizedAllToShardedLinear = AllToSharded<QuantizedLinear>;
using QuantizedShardedToAllLinear = ShardedToAll<QuantizedLinear>;

// The sharded form of a whole layer.
std::unique_ptr<LinearLayer> shard_linear(const Linear& whole, Sharding sharding, Group& group,
                                          const Segments& segments = {});
std::unique_ptr<LinearLayer> shard_linear(const QuantizedLinear& whole, Sharding sharding,
                                          Group& group, const Segments& segments = {});

}  // namespace railyard::nn
