// One decoding step of a small transformer block over all ranks: attention cut by heads with
// quantised weights, then a mixture of experts cut by experts. Every rank ends with the same
// output, which a group of one computes too.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <memory>
#include <vector>

#include "railyard/group.h"
#include "railyard/nn/experts.h"
#include "railyard/nn/linear.h"

using namespace railyard;

namespace {

constexpr int kWidth = 384, kHidden = 32, kExperts = 12, kTopK = 4;

// Stands for a checkpoint: the same weights on every rank.
nn::Array weights(int64_t out, int64_t in, unsigned seed) {
  std::vector<float> values(static_cast<size_t>(out * in));
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = (static_cast<float>(seed >> 8) * 0x1p-23f - 1) / std::sqrt(static_cast<float>(in));
  }
  return {nn::Shape{out, in}, Dtype::Float16, values};
}

nn::QuantizedLinear quantized(int64_t out, int64_t in, unsigned seed) {
  return nn::QuantizedLinear(nn::QuantizedArray::quantize(weights(out, in, seed), {32, 4}));
}

std::unique_ptr<nn::Layer> expert(int index) {
  const auto part = [&](int64_t out, int64_t in, unsigned which) {
    return std::make_unique<nn::Linear>(
        weights(out, in, 1000u + which + 3u * static_cast<unsigned>(index)));
  };
  return std::make_unique<nn::FeedForward>(part(kHidden, kWidth, 0), part(kHidden, kWidth, 1),
                                           part(kWidth, kHidden, 2));
}

// With a single position in the cache, attention gives its values back.
nn::Array attention(const nn::Array& qkv) {
  const nn::Array whole = qkv.reshaped({1, 3, qkv.extent(-1) / 3});
  const std::vector<float> values = whole.values();
  const auto third = values.size() / 3;
  return {
      nn::Shape{1, static_cast<int64_t>(third)}, qkv.dtype(),
      std::vector<float>(values.begin() + static_cast<std::ptrdiff_t>(2 * third), values.end())};
}

nn::Array step(Group& group, const nn::Array& x) {
  // Queries, keys and values are one matrix of three segments: each rank gets a share of each.
  const auto qkv = nn::shard_linear(quantized(3 * kWidth, kWidth, 1), nn::Sharding::all_to_sharded,
                                    group, nn::Segments::equal(3));
  const auto out =
      nn::shard_linear(quantized(kWidth, kWidth, 2), nn::Sharding::sharded_to_all, group);
  const nn::Array attended = out->forward(attention(qkv->forward(x)));

  // This rank's experts; what they say is summed in float16.
  const nn::ExpertRange range = nn::expert_range(kExperts, group.rank(), group.size());
  std::vector<std::unique_ptr<nn::Layer>> local;
  for (int i = range.begin; i < range.end; ++i) local.push_back(expert(i));
  const nn::ExpertParallel experts(std::move(local), kExperts, group, Dtype::Float16);
  const nn::Linear router(weights(kExperts, kWidth, 3));
  return experts.forward(attended, nn::route(router.forward(attended), kTopK));
}

}  // namespace

int main() {
  try {
    const std::unique_ptr<Group> group = init(/*strict=*/true);
    const std::unique_ptr<Group> alone = group->split(group->rank(), 0);
    const nn::Array x = weights(1, kWidth, 4).as(Dtype::Float32);
    const std::vector<float> together = step(*group, x).values(), wanted = step(*alone, x).values();
    float largest = 0, furthest = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      largest = std::max(largest, std::abs(wanted[i]));
      furthest = std::max(furthest, std::abs(wanted[i] - together[i]));
    }
    const bool right = largest > 0 && furthest < largest / 100;  // float16 rounds to 1 of 2048
    std::printf("%s\n%s\n", group->description().c_str(), right ? "ok" : "wrong");
    return right ? 0 : 3;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
