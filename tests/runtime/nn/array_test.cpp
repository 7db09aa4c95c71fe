#include "railyard/nn/array.h"

#include <cmath>
#include <limits>

#include "expect_refusal.h"

namespace railyard::nn {
namespace {

using test::refusal;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Array, StartsWithZeros) {
  const Array array({2, 3}, Dtype::BFloat16);
  EXPECT_EQ(array.count(), 6);
  EXPECT_EQ(array.bytes(), 12u);
  EXPECT_THAT(array.values(), ElementsAre(0, 0, 0, 0, 0, 0));
}

TEST(Array, RoundsToItsDtype) {
  const std::vector<float> values = {1.0f, 1.0f / 3, 70000.0f, -2.5f};
  EXPECT_EQ(Array({4}, Dtype::Float32, values).values(), values);
  // The nearest of 11 and of 8 bits to a third.
  EXPECT_THAT(Array({4}, Dtype::Float16, values).values(),
              ElementsAre(1, 1365.0f / 4096, std::numeric_limits<float>::infinity(), -2.5f));
  EXPECT_THAT(Array({4}, Dtype::BFloat16, values).values(),
              ElementsAre(1, 171.0f / 512, 70144.0f, -2.5f));
}

TEST(Array, MayBeEmpty) {
  EXPECT_EQ(Array().count(), 0);
  EXPECT_EQ(Array({3, 0}, Dtype::Float16).as(Dtype::Float32).shape(), (Shape{3, 0}));
  EXPECT_TRUE(Array({0, 7}, Dtype::Float32, {}).values().empty());
}

TEST(Array, NumbersItsAxesFromBothEnds) {
  const Array array({2, 3, 5}, Dtype::Float32);
  EXPECT_EQ(array.extent(0), 2);
  EXPECT_EQ(array.extent(-1), 5);
  EXPECT_THAT(refusal([&] { array.extent(3); }), HasSubstr("[2, 3, 5] has no axis 3"));
  EXPECT_THAT(refusal([&] { array.extent(-4); }), HasSubstr("no axis -4"));
}

TEST(Array, RefusesWhatDoesNotFit) {
  EXPECT_THAT(refusal([] {
                Array({2, 2}, Dtype::Float32, std::vector<float>{1});
              }),
              HasSubstr("1 values for shape [2, 2]"));
  EXPECT_THAT(refusal([] { Array({1}, Dtype::Int8, std::vector<float>{1}); }), HasSubstr("int8"));
  EXPECT_THAT(refusal([] { Array({-1}, Dtype::Float32); }), HasSubstr("negative"));
  EXPECT_THAT(refusal([] {
                Array({int64_t{1} << 40, int64_t{1} << 40}, Dtype::Float32);
              }),
              HasSubstr("larger than memory"));
  EXPECT_THAT(refusal([] { Array({4}, Dtype::Float32).reshaped({3}); }),
              HasSubstr("[4] cannot become [3]"));
}

}  // namespace
}  // namespace railyard::nn
