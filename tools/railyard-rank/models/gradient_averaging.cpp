// Data-parallel training: every rank has the whole model and its part of the batch, and the ranks
// average their gradients.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "railyard-rank/models/numbers.h"
#include "railyard-rank/tasks/kinds.h"
#include "railyard/nn/gradients.h"
#include "railyard/nn/linear.h"

namespace railyard::rank {
namespace {

using nn::Array;
using worker::Operation;

class GradientAveraging final : public Task {
 public:
  GradientAveraging(const Operation& operation, const Draw& draw, Context& context)
      : operation_(operation), dtype_(dtype_of(operation.dtype)), group_(context.group) {
    options_.batch_bytes = operation.batch;
    if (!operation.wire.empty()) options_.wire = dtype_of(operation.wire);
    const auto width = static_cast<int64_t>(operation.width);
    for (uint32_t i = 0; i < operation.layers; ++i) {
      layers_.emplace_back(draw_weight(draw, i, width, width, dtype_));
    }
  }

  Finding step(const Draw& draw, Digest& digest) override {
    std::vector<Array> gradients = gradients_of(draw, group_.rank());
    nn::average_gradients(gradients, group_, options_);
    for (const Array& gradient : gradients) digest.add(gradient.data(), gradient.bytes());
    return check(gradients, draw);
  }

 private:
  // Of the part of the batch that is `rank`'s.
  std::vector<Array> gradients_of(const Draw& draw, int rank) const {
    Draw target = draw;
    target.seed = ~draw.seed;
    const auto rows = static_cast<int64_t>(operation_.rows);
    const auto width = static_cast<int64_t>(operation_.width);
    std::vector<Array> inputs = {draw_activations(draw, rank, rows, width, dtype_)};
    for (const nn::Linear& layer : layers_) inputs.push_back(layer.forward(inputs.back()));
    Array dy = draw_activations(target, rank, rows, width, dtype_);
    std::vector<Array> gradients(layers_.size());
    for (size_t i = layers_.size(); i-- > 0;) {
      nn::LinearGradients layer = layers_[i].backward(inputs[i], dy);
      gradients[i] = std::move(*layer.weight);
      dy = std::move(layer.input);
    }
    return gradients;
  }

  // The mean by itself is what is checked: each rank's gradients are what any rank computes.
  Finding check(const std::vector<Array>& gradients, const Draw& draw) const {
    std::vector<std::vector<double>> sums(gradients.size());
    for (int rank = 0; rank < group_.size(); ++rank) {
      const std::vector<Array> of_rank = gradients_of(draw, rank);
      for (size_t layer = 0; layer < sums.size(); ++layer) {
        const std::vector<float> values = of_rank[layer].values();
        sums[layer].resize(values.size());
        for (size_t i = 0; i < values.size(); ++i) sums[layer][i] += values[i];
      }
    }
    const double allowed =
        tolerance(0, options_.wire.value_or(dtype_), group_.size() + 1) + tolerance(0, dtype_, 1);
    for (size_t layer = 0; layer < sums.size(); ++layer) {
      std::vector<float> means;
      for (double sum : sums[layer]) means.push_back(static_cast<float>(sum / group_.size()));
      const Array wanted(gradients[layer].shape(), Dtype::Float32, means);
      Finding finding = compare(gradients[layer], wanted, allowed, draw.iteration,
                                fmt::format("the gradient of layer {}", layer));
      if (finding) return finding;
    }
    return {};
  }

  const Operation& operation_;
  Dtype dtype_;
  Group& group_;
  nn::AverageOptions options_;
  std::vector<nn::Linear> layers_;
};

}  // namespace

std::unique_ptr<Task> make_gradient_averaging(const Operation& operation, const Draw& draw,
                                              Context& context) {
  return std::make_unique<GradientAveraging>(operation, draw, context);
}

}  // namespace railyard::rank
