#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "draw.h"
#include "railyard/nn/experts.h"
#include "steps.h"

namespace railyard::test {
namespace {

using nn::Array;

std::unique_ptr<nn::Layer> matrix(const ExpertsCase& which, int64_t out, int64_t in,
                                  unsigned seed) {
  Array weight = draw({out, in}, which.dtype, seed, Numbers::full);
  if (which.bits == 0) return std::make_unique<nn::Linear>(std::move(weight));
  return std::make_unique<nn::QuantizedLinear>(
      nn::QuantizedArray::quantize(weight, {32, which.bits}));
}

std::unique_ptr<nn::Layer> expert(const ExpertsCase& which, int index) {
  const auto seed = 1000 + 3 * static_cast<unsigned>(index);
  return std::make_unique<nn::FeedForward>(matrix(which, which.hidden, which.width, seed),
                                           matrix(which, which.hidden, which.width, seed + 1),
                                           matrix(which, which.width, which.hidden, seed + 2));
}

// Each token by itself, its experts one after the other, in double: no code in common with
// ExpertParallel but the experts. `terms` is what a token's outputs are as large as: where large
// numbers cancel, their errors remain.
void one_by_one(const ExpertsCase& which, const Array& x, const nn::Routing& routing, Array& wanted,
                Array& terms) {
  std::vector<float> outputs, magnitudes;
  const std::vector<float> values = x.values();
  const auto width = static_cast<size_t>(which.width);
  for (size_t token = 0; token < routing.size(); ++token) {
    const Array row({1, which.width}, which.dtype,
                    std::span<const float>(values).subspan(token * width, width));
    std::vector<double> sum(width);
    float largest = 0;
    for (const nn::Choice& choice : routing[token]) {
      const auto said = expert(which, choice.expert)->forward(row).values();
      for (size_t i = 0; i < width; ++i) {
        sum[i] += double{choice.weight} * said[i];
        largest = std::max(largest, std::abs(said[i]));
      }
    }
    outputs.insert(outputs.end(), sum.begin(), sum.end());
    magnitudes.insert(magnitudes.end(), width, largest);
  }
  wanted = Array(x.shape(), which.dtype, outputs);
  terms = Array(x.shape(), Dtype::Float32, magnitudes);
}

}  // namespace

std::string check_experts(Group& group, const ExpertsCase& which) {
  const Array x = draw({which.tokens, which.width}, which.dtype, 21, Numbers::full);
  const nn::Linear router(draw({which.experts, which.width}, which.dtype, 22, Numbers::full));
  const nn::Routing routing = nn::route(router.forward(x), which.top_k);

  const nn::ExpertRange range = nn::expert_range(which.experts, group.rank(), group.size());
  std::vector<std::unique_ptr<nn::Layer>> local;
  for (int i = range.begin; i < range.end; ++i) local.push_back(expert(which, i));
  const nn::ExpertParallel layer(std::move(local), which.experts, group, which.wire);
  const Array y = layer.forward(x, routing);

  Array wanted, terms;
  one_by_one(which, x, routing, wanted, terms);
  compare("experts", y, wanted, terms,
          static_cast<double>(which.width + which.hidden) * rounding(Dtype::Float32) +
              2 * (group.size() + 1) * rounding(which.wire) + 8 * rounding(which.dtype));
  return digest(y);
}

}  // namespace railyard::test
