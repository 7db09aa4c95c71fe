// Tensor-parallel decoding: every layer of a transformer is cut over the ranks of a stage, and sums
// its attention's and its feed-forward part's outputs. The stages are a pipeline.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "railyard-rank/models/numbers.h"
#include "railyard-rank/tasks/kinds.h"
#include "railyard-rank/tasks/watched_group.h"
#include "railyard/nn/experts.h"
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

// A few distinct layers, each cut over a group; the others repeat them.
class Transformer {
 public:
  Transformer(const Operation& operation, const Draw& draw, Group& group)
      : operation_(operation), dtype_(dtype_of(operation.dtype)), group_(group) {
    const auto width = static_cast<int64_t>(operation.width);
    const auto hidden = static_cast<int64_t>(operation.hidden);
    for (uint32_t i = 0; i < kDistinctLayers; ++i) {
      const auto make = [&](uint32_t which, int64_t out, int64_t in, Sharding sharding,
                            const nn::Segments& segments = {}) {
        return both(draw_weight(draw, 4 * i + which, out, in, dtype_), sharding, segments);
      };
      blocks_.push_back(
          {make(0, 3 * width, width, Sharding::all_to_sharded, nn::Segments::equal(3)),
           make(1, width, width, Sharding::sharded_to_all),
           make(2, hidden, width, Sharding::all_to_sharded),
           make(3, width, hidden, Sharding::sharded_to_all)});
    }
  }

  // Takes x through layers [begin, end); returns the first number that one rank computes otherwise.
  Finding decode(Array& x, int begin, int end, uint32_t iteration, Digest& digest) const {
    Finding first;
    const auto run = [&](const Both& in, const Both& out, Array (*between)(const Array&),
                         const std::string& where) {
      const Array y = out.part->forward(between(in.part->forward(x)));
      const Array wanted = out.whole->forward(between(in.whole->forward(x)));
      digest.add(y.data(), y.bytes());
      // Rounded after the first layer, in every rank's product and in the sum.
      const double allowed = tolerance(static_cast<int64_t>(operation_.width + operation_.hidden),
                                       dtype_, 2 * group_.size() + 4);
      if (!first) first = compare(y, wanted, allowed, iteration, where);
      x = normalized(plus(x, y));
    };
    for (int i = begin; i < end; ++i) {
      const Block& block = blocks_[static_cast<size_t>(i) % blocks_.size()];
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
  std::vector<Block> blocks_;
};

// The ranks of a stage are a group of their own, in which they cut its layers; a rank sends its
// activations to the one in its place in the next stage.
class TensorParallel final : public Task {
 public:
  TensorParallel(const Operation& operation, const Draw& draw, Context& context)
      : operation_(operation),
        all_(context.group),
        stages_(static_cast<int>(operation.stages)),
        stage_(all_.rank() * stages_ / all_.size()),
        part_(stages_ == 1 ? nullptr : all_.split(stage_, all_.rank())),
        stage_group_(part_ ? *part_ : all_, context.progress),
        transformer_(operation, draw, stage_group_) {}

  Finding step(const Draw& draw, Digest& digest) override {
    Array x = draw_activations(draw, 0, static_cast<int64_t>(operation_.tokens),
                               static_cast<int64_t>(operation_.width), dtype_of(operation_.dtype));
    Finding finding;
    if (stage_ > 0) finding = receive(x, all_.rank() - stage_group_.size(), draw.iteration);
    const nn::ExpertRange mine =
        nn::expert_range(static_cast<int>(operation_.layers), stage_, stages_);
    Digest of_stage;
    Finding wrong = transformer_.decode(x, mine.begin, mine.end, draw.iteration,
                                        stages_ == 1 ? digest : of_stage);
    if (!finding) finding = std::move(wrong);
    if (stages_ == 1) return finding;

    if (stage_ + 1 < stages_) send(x, all_.rank() + stage_group_.size());
    all_.broadcast(x.data(), x.bytes(), all_.size() - 1);  // the next token begins with it
    digest.add(x.data(), x.bytes());
    return finding;
  }

 private:
  // Activations come with a digest of theirs, because what one rank alone would have sent is known
  // to within rounding only.
  void send(const Array& x, int rank) {
    const std::string digest = digest_of(x);
    all_.send(x.data(), x.bytes(), rank);
    all_.send(digest.data(), digest.size(), rank);
  }

  Finding receive(Array& x, int rank, uint32_t iteration) {
    std::string wanted(digest_of(x).size(), '\0');
    all_.recv(x.data(), x.bytes(), rank);
    all_.recv(wanted.data(), wanted.size(), rank);
    const std::string got = digest_of(x);
    if (got == wanted) return {};
    return worker::Mismatch{
        iteration, 0, got,
        fmt::format("{}, the digest of the activations that rank {} sent", wanted, rank)};
  }

  static std::string digest_of(const Array& x) {
    Digest digest;
    digest.add(x.data(), x.bytes());
    return digest.text();
  }

  const Operation& operation_;
  Group& all_;
  int stages_, stage_;
  std::unique_ptr<Group> part_;
  WatchedGroup stage_group_;
  Transformer transformer_;
};

}  // namespace

std::unique_ptr<Task> make_tensor_parallel(const Operation& operation, const Draw& draw,
                                           Context& context) {
  return std::make_unique<TensorParallel>(operation, draw, context);
}

}  // namespace railyard::rank
