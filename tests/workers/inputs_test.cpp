// Inputs, their reference and what it finds.
#include "railyard-rank/inputs.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace railyard::rank {
namespace {

constexpr uint64_t kCount = 1000;
constexpr const char* kTypes[] = {"bool",     "int8",    "int16",   "int32",    "int64",
                                  "uint8",    "uint16",  "uint32",  "uint64",   "float16",
                                  "bfloat16", "float32", "float64", "complex64"};

using Bytes = std::vector<uint8_t>;

Bytes input(const Draw& draw, ElementType type, int rank, uint64_t count = kCount) {
  Bytes bytes(count * element_bytes(type));
  fill_input(draw, type, rank, count, bytes.data());
  return bytes;
}

// Adds `from` to `sum`, element by element, in the element type itself.
void add(ElementType type, Bytes& sum, const Bytes& from) {
  with_codec(type, [&](auto codec) {
    using Codec = decltype(codec);
    for (size_t at = 0; at < sum.size(); at += sizeof(typename Codec::Bits)) {
      typename Codec::Bits a, b;
      std::memcpy(&a, &sum[at], sizeof(a));
      std::memcpy(&b, &from[at], sizeof(b));
      a = Codec::encode(Codec::decode(a) + Codec::decode(b));
      std::memcpy(&sum[at], &a, sizeof(a));
    }
  });
}

Bytes sum_in_order(const Draw& draw, ElementType type, const std::vector<int>& order) {
  Bytes sum = input(draw, type, order.front());
  for (size_t i = 1; i < order.size(); ++i) add(type, sum, input(draw, type, order[i]));
  return sum;
}

class EveryType : public testing::TestWithParam<const char*> {
 protected:
  ElementType type() const { return *element_type(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Types, EveryType, testing::ValuesIn(kTypes),
                         [](const auto& each) { return std::string(each.param); });

TEST_P(EveryType, ExactSumIsTheReferenceInAnyOrder) {
  const Draw draw{.seed = 3, .operation = 1, .iteration = 2, .ranks = 4};
  SumCheck check;
  for (const std::vector<int>& order : {std::vector{0, 1, 2, 3}, {3, 1, 0, 2}}) {
    const Bytes sum = sum_in_order(draw, type(), order);
    const auto mismatch = check.check(draw, type(), kCount, sum.data());
    EXPECT_FALSE(mismatch) << "element " << mismatch->index << ": " << mismatch->got << " for "
                           << mismatch->expected;
  }
}

TEST_P(EveryType, FirstWrongElementIsFound) {
  const Draw draw{.seed = 3, .ranks = 2, .rounded = false};
  Bytes sum = sum_in_order(draw, type(), {0, 1});
  sum[17 * element_bytes(type())] ^= 1;
  sum[500 * element_bytes(type())] ^= 1;
  SumCheck check;
  const auto mismatch = check.check(draw, type(), kCount, sum.data());
  ASSERT_TRUE(mismatch);
  EXPECT_EQ(mismatch->index, 17u);
  EXPECT_NE(mismatch->got, mismatch->expected);
}

TEST_P(EveryType, AMissingRankIsFound) {
  const Draw draw{.seed = 3, .ranks = 4, .rounded = false};
  const Bytes sum = sum_in_order(draw, type(), {0, 1, 3});
  SumCheck check;
  EXPECT_TRUE(check.check(draw, type(), kCount, sum.data()));
}

TEST_P(EveryType, InputsDependOnEachOfTheirArguments) {
  const Draw draw{.seed = 3, .operation = 1, .iteration = 2, .ranks = 2};
  Draw seed = draw, operation = draw, iteration = draw;
  seed.seed = 4;
  operation.operation = 2;
  iteration.iteration = 3;
  const std::set<Bytes> all = {input(draw, type(), 0), input(draw, type(), 1),
                               input(seed, type(), 0), input(operation, type(), 0),
                               input(iteration, type(), 0)};
  EXPECT_EQ(all.size(), 5u);
}

TEST_P(EveryType, InputsOfMoreElementsBeginAlike) {
  const Draw draw{.seed = 3, .ranks = 2, .rounded = false};
  Bytes longer = input(draw, type(), 0, 2 * kCount);
  longer.resize(kCount * element_bytes(type()));
  EXPECT_EQ(longer, input(draw, type(), 0));
}

TEST(RoundedInputs, SumsThatDifferByRoundingPass) {
  const Draw draw{.seed = 5, .ranks = 8, .rounded = true};
  const ElementType type = ElementType::float32;
  const Bytes forth = sum_in_order(draw, type, {0, 1, 2, 3, 4, 5, 6, 7});
  const Bytes back = sum_in_order(draw, type, {7, 6, 5, 4, 3, 2, 1, 0});
  EXPECT_NE(forth, back) << "these inputs do not need rounding";
  SumCheck check;
  EXPECT_FALSE(check.check(draw, type, kCount, forth.data()));
  EXPECT_FALSE(check.check(draw, type, kCount, back.data()));
}

TEST(RoundedInputs, ALargerDifferenceIsFound) {
  const Draw draw{.seed = 5, .ranks = 2, .rounded = true};
  Bytes sum = sum_in_order(draw, ElementType::float32, {0, 1});
  float value = 0;
  std::memcpy(&value, &sum[40], sizeof(value));
  value += 1e-3f;
  std::memcpy(&sum[40], &value, sizeof(value));
  SumCheck check;
  const auto mismatch = check.check(draw, ElementType::float32, kCount, sum.data());
  ASSERT_TRUE(mismatch);
  EXPECT_EQ(mismatch->index, 10u);
}

TEST(RoundedInputs, NotANumberIsWrong) {
  const Draw draw{.seed = 5, .ranks = 2, .rounded = true};
  Bytes sum = sum_in_order(draw, ElementType::float64, {0, 1});
  std::memset(sum.data(), 0xff, 8);
  SumCheck check;
  EXPECT_TRUE(check.check(draw, ElementType::float64, kCount, sum.data()));
}

TEST(RoundedInputs, HalvesAreRepresentedExactly) {
  const Draw draw{.seed = 5, .ranks = 2, .rounded = true};
  for (const ElementType type : {ElementType::float16, ElementType::bfloat16}) {
    const Bytes halves = input(draw, type, 1);
    with_codec(type, [&](auto codec) {
      using Codec = decltype(codec);
      for (size_t at = 0; at < halves.size(); at += 2) {
        uint16_t bits = 0;
        std::memcpy(&bits, &halves[at], sizeof(bits));
        const double value = Codec::decode(static_cast<typename Codec::Bits>(bits));
        ASSERT_LT(std::abs(value), 1.0);
        ASSERT_EQ(Codec::encode(value), bits);
      }
    });
  }
}

TEST(Halves, KnownValues) {
  EXPECT_EQ(Float16Codec::encode(1.0), 0x3c00);
  EXPECT_EQ(Float16Codec::encode(-2048.0), 0xe800);
  EXPECT_EQ(Float16Codec::encode(0.0), 0);
  EXPECT_EQ(Float16Codec::decode(0x0001), std::ldexp(1, -24));
  EXPECT_EQ(Float16Codec::decode(0x7bff), 65504);
  EXPECT_TRUE(std::isinf(Float16Codec::decode(0xfc00)));
  EXPECT_TRUE(std::isnan(Float16Codec::decode(0x7e00)));
  EXPECT_EQ(BFloat16Codec::encode(-1.0), 0xbf80);
  EXPECT_EQ(BFloat16Codec::decode(0x4380), 256);
}

TEST(SentBytes, OnlyTheSendersAreRight) {
  const Draw draw{.seed = 1, .ranks = 2, .rounded = false};
  Bytes sent(5000);
  fill_bytes(draw, 0, sent.size(), sent.data());
  EXPECT_FALSE(check_bytes(draw, 0, sent.size(), sent.data()));
  EXPECT_TRUE(check_bytes(draw, 1, sent.size(), sent.data()));
  sent[4999] ^= 0x80;
  const auto mismatch = check_bytes(draw, 0, sent.size(), sent.data());
  ASSERT_TRUE(mismatch);
  EXPECT_EQ(mismatch->index, 4999u);
}

TEST(ElementTypes, NamesAndSizes) {
  EXPECT_FALSE(element_type("float8"));
  EXPECT_EQ(element_bytes(*element_type("bool")), 1u);
  EXPECT_EQ(element_bytes(*element_type("bfloat16")), 2u);
  EXPECT_EQ(element_bytes(*element_type("complex64")), 8u);
}

}  // namespace
}  // namespace railyard::rank
