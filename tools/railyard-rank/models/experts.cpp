// Expert-parallel decoding: the experts of every layer are spread over the ranks, and one sum per
// layer puts together what they say.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "railyard-rank/models/numbers.h"
#include "railyard-rank/tasks/kinds.h"
#include "railyard/nn/experts.h"

namespace railyard::rank {
namespace {

using nn::Array;
using worker::Operation;

constexpr uint32_t kRouterWeight = 0, kFirstExpertWeight = 1, kWeightsOfExpert = 3;

class Experts final : public Task {
 public:
  Experts(const Operation& operation, const Draw& draw, Context& context)
      : operation_(operation),
        width_(static_cast<int64_t>(operation.width)),
        wire_(dtype_of(operation.wire)),
        group_(context.group),
        router_(draw_weight(draw, kRouterWeight, static_cast<int64_t>(operation.experts), width_,
                            Dtype::Float32)),
        parallel_(local_experts(draw), static_cast<int>(operation.experts), group_, wire_) {
    for (int i = 0; i < static_cast<int>(operation.experts); ++i) all_.push_back(expert(draw, i));
  }

  Finding step(const Draw& draw, Digest& digest) override {
    const auto tokens = static_cast<int64_t>(operation_.tokens);
    Array x = draw_activations(draw, 0, tokens, width_, Dtype::Float32);
    const double allowed =
        tolerance(width_ + static_cast<int64_t>(operation_.hidden), wire_, group_.size() + 1);
    Finding first;
    for (uint64_t i = 0; i < operation_.layers; ++i) {
      const nn::Routing routing = nn::route(router_.forward(x), static_cast<int>(operation_.top_k));
      const Array y = parallel_.forward(x, routing);
      digest.add(y.data(), y.bytes());
      Finding finding =
          compare(y, on_one_rank(x, routing), allowed, draw.iteration, fmt::format("layer {}", i));
      if (!first) first = std::move(finding);
      x = normalized(plus(x, y));
    }
    return first;
  }

 private:
  std::unique_ptr<nn::Layer> expert(const Draw& draw, int index) const {
    const auto hidden = static_cast<int64_t>(operation_.hidden);
    const auto matrix = [&](uint32_t which, int64_t out, int64_t in) {
      const uint32_t number =
          kFirstExpertWeight + kWeightsOfExpert * static_cast<uint32_t>(index) + which;
      return std::make_unique<nn::Linear>(draw_weight(draw, number, out, in, Dtype::BFloat16));
    };
    return std::make_unique<nn::FeedForward>(matrix(0, hidden, width_), matrix(1, hidden, width_),
                                             matrix(2, width_, hidden));
  }

  std::vector<std::unique_ptr<nn::Layer>> local_experts(const Draw& draw) const {
    const nn::ExpertRange range =
        nn::expert_range(static_cast<int>(operation_.experts), group_.rank(), group_.size());
    std::vector<std::unique_ptr<nn::Layer>> experts;
    for (int i = range.begin; i < range.end; ++i) experts.push_back(expert(draw, i));
    return experts;
  }

  // Token by token, expert by expert, in double.
  Array on_one_rank(const Array& x, const nn::Routing& routing) const {
    const std::vector<float> tokens = x.values();
    const auto width = static_cast<size_t>(width_);
    std::vector<float> outputs;
    for (size_t token = 0; token < routing.size(); ++token) {
      const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(token * width);
      const Array row({1, width_}, Dtype::Float32, std::vector<float>(begin, begin + width_));
      std::vector<double> sum(width);
      for (const nn::Choice& choice : routing[token]) {
        const auto said = all_[static_cast<size_t>(choice.expert)]->forward(row).values();
        for (size_t i = 0; i < width; ++i) sum[i] += double{choice.weight} * said[i];
      }
      outputs.insert(outputs.end(), sum.begin(), sum.end());
    }
    return {x.shape(), Dtype::Float32, outputs};
  }

  const Operation& operation_;
  int64_t width_;
  Dtype wire_;
  Group& group_;
  nn::Linear router_;
  nn::ExpertParallel parallel_;
  std::vector<std::unique_ptr<nn::Layer>> all_;
};

}  // namespace

std::unique_ptr<Task> make_experts(const Operation& operation, const Draw& draw, Context& context) {
  return std::make_unique<Experts>(operation, draw, context);
}

}  // namespace railyard::rank
