// Pipeline-parallel decoding: every rank has some of the layers, sends their activations to the
// next one, and the last tells all what came out, as the next token's step needs it.
#include <fmt/format.h>

#include <vector>

#include "railyard-rank/models/numbers.h"
#include "railyard-rank/tasks/kinds.h"
#include "railyard/nn/experts.h"
#include "railyard/nn/linear.h"

namespace railyard::rank {
namespace {

using nn::Array;
using worker::Operation;

constexpr uint32_t kDistinctLayers = 2;  // the others repeat them

class Pipeline final : public Task {
 public:
  Pipeline(const Operation& operation, const Draw& draw, Context& context)
      : operation_(operation), dtype_(dtype_of(operation.dtype)), group_(context.group) {
    const auto width = static_cast<int64_t>(operation.width);
    for (uint32_t i = 0; i < kDistinctLayers; ++i) {
      layers_.emplace_back(draw_weight(draw, i, width, width, dtype_));
    }
  }

  Finding step(const Draw& draw, Digest& digest) override {
    const Array input = draw_activations(draw, 0, static_cast<int64_t>(operation_.tokens),
                                         static_cast<int64_t>(operation_.width), dtype_);
    const int rank = group_.rank(), last = group_.size() - 1;
    const nn::ExpertRange mine = layers_of(rank);
    Array x = rank == 0 ? input : Array(input.shape(), dtype_);
    if (rank > 0) group_.recv(x.data(), x.bytes(), rank - 1);
    Finding finding = check_stage(x, input, mine.begin, draw.iteration);
    x = through(x, mine.begin, mine.end);
    if (rank < last) group_.send(x.data(), x.bytes(), rank + 1);
    group_.broadcast(x.data(), x.bytes(), last);

    digest.add(x.data(), x.bytes());
    if (finding) return finding;
    return check_stage(x, input, static_cast<int>(operation_.layers), draw.iteration);
  }

 private:
  nn::ExpertRange layers_of(int rank) const {
    return nn::expert_range(static_cast<int>(operation_.layers), rank, group_.size());
  }

  Array through(Array x, int begin, int end) const {
    for (int i = begin; i < end; ++i) {
      x = normalized(layers_[static_cast<size_t>(i) % layers_.size()].forward(x));
    }
    return x;
  }

  // Every layer is computed on one rank, so nothing may differ by a bit.
  Finding check_stage(const Array& x, const Array& input, int layers, uint32_t iteration) const {
    return compare(x, through(input, 0, layers), 0, iteration,
                   fmt::format("the activations after {} layers", layers));
  }

  const Operation& operation_;
  Dtype dtype_;
  Group& group_;
  std::vector<nn::Linear> layers_;
};

}  // namespace

std::unique_ptr<Task> make_pipeline(const Operation& operation, const Draw& draw,
                                    Context& context) {
  return std::make_unique<Pipeline>(operation, draw, context);
}

}  // namespace railyard::rank
