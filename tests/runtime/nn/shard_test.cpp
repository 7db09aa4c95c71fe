#include "railyard/nn/shard.h"

#include <numeric>

#include "expect_refusal.h"
#include "railyard/nn/linear.h"
#include "same_group.h"

namespace railyard::nn {
namespace {

using test::refusal;
using test::SameGroup;
using testing::ElementsAre;
using testing::HasSubstr;

Array counting(Shape shape) {
  const Array zeros(shape, Dtype::Float32);
  std::vector<float> values(static_cast<size_t>(zeros.count()));
  std::iota(values.begin(), values.end(), 0.0f);
  return {shape, Dtype::Float32, values};
}

std::vector<float> rows(int rank, int size, const Segments& segments, int64_t extent) {
  return shard(counting({extent}), 0, segments, SameGroup(rank, size)).values();
}

TEST(Shard, GivesEachRankItsStretch) {
  EXPECT_THAT(rows(0, 3, {}, 9), ElementsAre(0, 1, 2));
  EXPECT_THAT(rows(2, 3, {}, 9), ElementsAre(6, 7, 8));
  EXPECT_THAT(rows(0, 1, {}, 3), ElementsAre(0, 1, 2));
}

TEST(Shard, CutsEachSegmentByItself) {
  EXPECT_THAT(rows(0, 2, Segments::equal(3), 12), ElementsAre(0, 1, 4, 5, 8, 9));
  EXPECT_THAT(rows(1, 2, Segments::equal(3), 12), ElementsAre(2, 3, 6, 7, 10, 11));
  // Eight queries, two keys, two values.
  EXPECT_THAT(rows(1, 2, Segments::at({8, 10}), 12), ElementsAre(4, 5, 6, 7, 9, 11));
  EXPECT_THAT(rows(1, 2, Segments::fractions({2.0 / 3, 5.0 / 6}), 12),
              ElementsAre(4, 5, 6, 7, 9, 11));
}

TEST(Shard, CutsAnyAxis) {
  EXPECT_THAT(shard(counting({2, 4}), -1, {}, SameGroup(1, 2)).values(), ElementsAre(2, 3, 6, 7));
  EXPECT_THAT(shard(counting({2, 2, 2}), 1, {}, SameGroup(0, 2)).values(), ElementsAre(0, 1, 4, 5));
  EXPECT_EQ(shard(counting({2, 0}), 1, {}, SameGroup(0, 2)).shape(), (Shape{2, 0}));
}

TEST(Shard, SaysWhatDoesNotDivide) {
  EXPECT_THAT(refusal([] { rows(0, 2, {}, 9); }),
              HasSubstr("axis 0 of shape [9] of 9 cannot be shared equally by 2 ranks"));
  EXPECT_THAT(refusal([] {
                rows(0, 4, Segments::at({8, 10}), 12);
              }),
              HasSubstr("of 2 in segment 1 cannot be shared equally by 4 ranks"));
  EXPECT_THAT(refusal([] { rows(0, 1, Segments::equal(5), 12); }),
              HasSubstr("5 equal segments do not divide 12"));
  EXPECT_THAT(refusal([] {
                rows(0, 1, Segments::at({8, 14}), 12);
              }),
              HasSubstr("segment 2 would begin at 14 and end at 12 of 12"));
  EXPECT_THAT(refusal([] { Segments::equal(0); }), HasSubstr("at least 1"));
  EXPECT_THAT(refusal([] { Segments::fractions({1.0}); }), HasSubstr("between 0 and 1"));
}

TEST(ShardInPlace, CutsWeightsAndBiasesOfAModel) {
  Parameters parameters = {{"up.weight", counting({4, 2})}, {"up.bias", counting({4})}};
  shard_in_place(parameters, Sharding::all_to_sharded, SameGroup(1, 2));
  EXPECT_THAT(parameters["up.weight"].values(), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(parameters["up.bias"].values(), ElementsAre(2, 3));
}

TEST(ShardInPlace, LeavesTheBiasOfASumWhole) {
  Parameters parameters = {{"down.weight", counting({2, 4})},
                           {"down.bias", counting({2})},
                           {"down.biases", counting({2, 2})}};
  shard_in_place(parameters, Sharding::sharded_to_all, SameGroup(0, 2));
  EXPECT_THAT(parameters["down.weight"].values(), ElementsAre(0, 1, 4, 5));
  EXPECT_THAT(parameters["down.bias"].values(), ElementsAre(0, 1));
  EXPECT_THAT(parameters["down.biases"].values(), ElementsAre(0, 2));  // of a quantised weight
}

TEST(ShardInPlace, TakesARuleOfItsOwn) {
  Parameters parameters = {{"qkv", counting({6})}, {"norm", counting({3})}};
  shard_in_place(
      parameters,
      [](const std::string& path, const Array&) {
        return path == "qkv" ? std::optional<Cut>({0, Segments::equal(3)}) : std::nullopt;
      },
      SameGroup(1, 2));
  EXPECT_THAT(parameters["qkv"].values(), ElementsAre(1, 3, 5));
  EXPECT_THAT(parameters["norm"].values(), ElementsAre(0, 1, 2));
}

TEST(ShardInPlace, ChangesNothingWhenOneDoesNotFit) {
  Parameters parameters = {{"a", counting({4})}, {"b", counting({5})}};
  EXPECT_THAT(
      refusal([&] { shard_in_place(parameters, Sharding::all_to_sharded, SameGroup(0, 2)); }),
      HasSubstr("b: shard: axis 0 of shape [5]"));
  EXPECT_EQ(parameters["a"].count(), 4);
}

TEST(ShardLinear, SaysWhatDoesNotDivide) {
  SameGroup group(0, 3);
  const Linear linear(Array({8, 12}, Dtype::Float32));
  EXPECT_THAT(refusal([&] { shard_linear(linear, Sharding::all_to_sharded, group); }),
              HasSubstr("output dimension of 8 cannot be shared equally by 3 ranks"));
  EXPECT_NO_THROW(shard_linear(linear, Sharding::sharded_to_all, group));
  const QuantizedLinear quantized(QuantizedArray::quantize(Array({6, 128}, Dtype::Float32)));
  EXPECT_THAT(
      refusal([&] { shard_linear(quantized, Sharding::sharded_to_all, group); }),
      HasSubstr("input dimension of 128 cannot be shared equally by 3 ranks in groups of 64"));
  EXPECT_NO_THROW(shard_linear(quantized, Sharding::all_to_sharded, group));
  EXPECT_TRUE(group.sums.empty());
}

TEST(ShardLinear, QuantisingAndCuttingMayBeExchanged) {
  std::vector<float> values(8 * 256);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 101) - 50;
  const Array weight({8, 256}, Dtype::Float32, values);
  for (int bits : {4, 8}) {
    const Quantization quantization{32, bits};
    const QuantizedLinear whole(QuantizedArray::quantize(weight, quantization));
    for (Sharding sharding : {Sharding::all_to_sharded, Sharding::sharded_to_all}) {
      for (int rank = 0; rank < 2; ++rank) {
        const SameGroup group(rank, 2);
        const Segments segments = Segments::equal(2);
        const Linear part = Linear(weight).shard(sharding, group, segments);
        EXPECT_EQ(whole.shard(sharding, group, segments).weight(),
                  QuantizedArray::quantize(part.weight(), quantization));
      }
    }
  }
}

}  // namespace
}  // namespace railyard::nn
