// Tensor-parallel decoding: every layer of a transformer is cut over all ranks, and sums its
// attention's and its feed-forward part's outputs.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "railyard-rank/models/numbers.h"
#include "railyard-rank/tasks/kinds.h"
#include "railyard/nn/linear.h"
#include "railyard/workload.h"

namespace railyard::rank {
namespace {

using nn::Array;
using nn::Sharding;
using worker::Operation;

constexpr uint32_t kDistinctLayers =
    2;  // the others repeat them: memory for a hundred is not spent

// A linear layer twice: as every rank would have it alone, and this rank's part.
struct Both {
  std::unique_ptr<nn::Layer> whole, part;
};

// What follows on a linear layer in between, element by element.
Array rectified(const Array& x) {
  std::vector<float> values = x.values();
  for (float& value : values) value = std::max(value, 0.0f);
  return {x.shape(), x.dtype(), values};
}

// Stands for attention with an empty cache: queries, keys and values mix, each of them matters.
Array attended(const Array& qkv) {
  const auto width = static_cast<size_t>(qkv.extent(-1)) / 3;
  const auto rows = static_cast<size_t>(qkv.extent(0));
  const std::vector<float> values = qkv.values();
  std::vector<float> mixed(rows * width);
  for (size_t row = 0; row < rows; ++row) {
    const float* const query = values.data() + row * 3 * width;
    for (size_t i = 0; i < width; ++i) {
      mixed[row * width + i] = query[i] / 2 + query[width + i] / 4 + query[2 * width + i];
    }
  }
  return {nn::Shape{qkv.extent(0), static_cast<int64_t>(width)}, qkv.dtype(), mixed};
}

class TensorParallel final : public Task {
 public:
  TensorParallel(const Operation& operation, const Draw& draw, Context& context)
      : operation_(operation), dtype_(dtype_of(operation.dtype)), group_(context.group) {
    const auto width = static_cast<int64_t>(operation.width);
    const auto hidden = static_cast<int64_t>(operation.hidden);
    for (uint32_t i = 0; i < kDistinctLayers; ++i) {
      const auto make = [&](uint32_t which, int64_t out, int64_t in, Sharding sharding,
                            const nn::Segments& segments = {}) {
        return both(draw_weight(draw, 4 * i + which, out, in, dtype_), sharding, segments);
      };
      layers_.push_back(
          {make(0, 3 * width, width, Sharding::all_to_sharded, nn::Segments::equal(3)),
           make(1, width, width, Sharding::sharded_to_all),
           make(2, hidden, width, Sharding::all_to_sharded),
           make(3, width, hidden, Sharding::sharded_to_all)});
    }
  }

  Finding step(const Draw& draw, Digest& digest) override {
    const auto width = static_cast<int64_t>(operation_.width);
    Array x = draw_activations(draw, 0, static_cast<int64_t>(operation_.tokens), width, dtype_);
    Finding first;
    const auto run = [&](const Both& in, const Both& out, Array (*between)(const Array&),
                         const std::string& where) {
      const Array y = out.part->forward(between(in.part->forward(x)));
      const Array wanted = out.whole->forward(between(in.whole->forward(x)));
      digest.add(y.data(), y.bytes());
      // Rounded after the first layer, in every rank's product and in the sum.
      const double allowed =
          tolerance(width + static_cast<int64_t>(operation_.hidden), dtype_, 2 * group_.size() + 4);
      if (!first) first = compare(y, wanted, allowed, draw.iteration, where);
      x = normalized(plus(x, y));
    };
    for (uint64_t i = 0; i < operation_.layers; ++i) {
      const Block& block = layers_[i % layers_.size()];
      run(block.qkv, block.out, attended, fmt::format("the attention of layer {}", i));
      run(block.up, block.down, rectified, fmt::format("the feed-forward part of layer {}", i));
    }
    return first;
  }

 private:
  struct Block {
    Both qkv, out, up, down;
  };

  Both both(Array weight, Sharding sharding, const nn::Segments& segments) {
    if (operation_.bits == 16) {
      nn::Linear whole(std::move(weight));
      auto part = nn::shard_linear(whole, sharding, group_, segments);
      return {std::make_unique<nn::Linear>(std::move(whole)), std::move(part)};
    }
    const nn::Quantization quantization{static_cast<int>(harness::kQuantizedGroup),
                                        static_cast<int>(operation_.bits)};
    nn::QuantizedLinear whole(nn::QuantizedArray::quantize(weight, quantization));
    auto part = nn::shard_linear(whole, sharding, group_, segments);
    return {std::make_unique<nn::QuantizedLinear>(std::move(whole)), std::move(part)};
  }

  const Operation& operation_;
  Dtype dtype_;
  Group& group_;
  std::vector<Block> layers_;
};

}  // namespace

std::unique_ptr<Task> make_tensor_parallel(const Operation& operation, const Draw& draw,
                                           Context& context) {
  return std::make_unique<TensorParallel>(operation, draw, context);
}

}  // namespace railyard::rank
