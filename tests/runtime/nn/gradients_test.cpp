// What average_gradients sends, and how it refuses.
#include "railyard/nn/gradients.h"

#include "expect_refusal.h"
#include "same_group.h"

namespace railyard::nn {
namespace {

using test::refusal;
using test::SameGroup;
using testing::HasSubstr;
using Sums = std::vector<SameGroup::Sum>;

constexpr auto kFull = Dtype::Float32, kHalf = Dtype::Float16;

std::vector<Array> arrays(const std::vector<int64_t>& counts, Dtype dtype = kFull) {
  std::vector<Array> result;
  for (int64_t count : counts) {
    result.emplace_back(Shape{count}, dtype,
                        std::vector<float>(static_cast<size_t>(count), static_cast<float>(count)));
  }
  return result;
}

Sums sums_for(std::vector<Array> gradients, const AverageOptions& options, int ranks = 4) {
  SameGroup group(0, ranks);
  const std::vector<Array> before = gradients;
  const size_t sums = average_gradients(gradients, group, options);
  EXPECT_EQ(sums, group.sums.size());
  EXPECT_EQ(gradients, before);  // the mean of what is the same everywhere
  return group.sums;
}

TEST(AverageGradients, SendsAllAtOnceByDefault) {
  EXPECT_EQ(sums_for(arrays({3, 1, 0, 5}), {}), (Sums{{36, kFull}}));
  EXPECT_EQ(sums_for({}, {}), Sums{});
}

TEST(AverageGradients, ClosesABatchThatIsFull) {
  EXPECT_EQ(sums_for(arrays({2, 2, 1, 7, 1}), {.batch_bytes = 16}),
            (Sums{{16, kFull}, {32, kFull}, {4, kFull}}));
  EXPECT_EQ(sums_for(arrays({2, 3}), {.batch_bytes = 0}), (Sums{{8, kFull}, {12, kFull}}));
}

TEST(AverageGradients, CountsBytesAsTheyAreOnTheWire) {
  EXPECT_EQ(sums_for(arrays({4, 4, 4}), {.batch_bytes = 16, .wire = kHalf}),
            (Sums{{16, kHalf}, {8, kHalf}}));
}

TEST(AverageGradients, SendsMixedDtypesOneByOne) {
  std::vector<Array> mixed = arrays({2, 3});
  mixed.push_back(arrays({5}, kHalf)[0]);
  EXPECT_EQ(sums_for(mixed, {}), (Sums{{8, kFull}, {12, kFull}, {10, kHalf}}));
  EXPECT_EQ(sums_for(mixed, {.wire = kHalf}), (Sums{{4, kHalf}, {6, kHalf}, {10, kHalf}}));
}

TEST(AverageGradients, LeavesALoneRankAlone) {
  EXPECT_EQ(sums_for(arrays({2, 3}), {.wire = kHalf}, 1), Sums{});
}

TEST(AverageGradients, GoesByPathInAModel) {
  SameGroup group(1, 2);
  Parameters model = {{"b", arrays({3})[0]}, {"a", arrays({2})[0]}};
  EXPECT_EQ(average_gradients(model, group, {.batch_bytes = 0}), 2u);
  EXPECT_EQ(group.sums, (Sums{{8, kFull}, {12, kFull}}));
}

TEST(AverageGradients, RefusesWhatHasNoMean) {
  SameGroup group(0, 2);
  std::vector<Array> packed = {Array({4}, Dtype::UInt32)};
  EXPECT_THAT(refusal([&] { average_gradients(packed, group); }), HasSubstr("uint32 gradients"));
  std::vector<Array> plain = arrays({4});
  EXPECT_THAT(refusal([&] { average_gradients(plain, group, {.wire = Dtype::Int8}); }),
              HasSubstr("float32 gradients as int8"));
  EXPECT_TRUE(group.sums.empty());
}

}  // namespace
}  // namespace railyard::nn
