#include "reduce/reduce.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>

#include "naive_sum.h"
#include "reduce/half.h"
#include "reduce/half_sum.h"

namespace railyard {
namespace {

class Sum : public testing::TestWithParam<Dtype> {};

// What adding two elements by hand gives.
std::vector<std::byte> by_hand(const std::vector<std::byte>& a, const std::vector<std::byte>& b,
                               Dtype dtype) {
  std::vector<std::byte> result(a.size());
  size_t step = test::scalar_bytes(dtype);
  for (size_t at = 0; at < a.size(); at += step) {
    test::from_double(test::to_double(a.data() + at, dtype) + test::to_double(b.data() + at, dtype),
                      result.data() + at, dtype);
  }
  return result;
}

TEST_P(Sum, IsThatOfTheNaiveLoop) {
  Dtype dtype = GetParam();
  for (size_t count : {0u, 1u, 3u, 16u, 1001u}) {
    size_t bytes = count * size_of(dtype);
    auto a = test::data_of_rank(0, 1, bytes, dtype), b = test::data_of_rank(1, 1, bytes, dtype);
    auto expected = by_hand(a, b, dtype);
    std::vector<std::byte> out(bytes);
    sum(out.data(), a.data(), b.data(), bytes, dtype);
    EXPECT_EQ(out, expected) << name(dtype) << " " << count;
    sum(b.data(), a.data(), b.data(), bytes, dtype);
    EXPECT_EQ(b, expected) << "in place " << name(dtype) << " " << count;
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, Sum,
                         testing::Values(Dtype::Bool, Dtype::Int8, Dtype::Int16, Dtype::Int32,
                                         Dtype::Int64, Dtype::UInt8, Dtype::UInt16, Dtype::UInt32,
                                         Dtype::UInt64, Dtype::Float16, Dtype::BFloat16,
                                         Dtype::Float32, Dtype::Float64, Dtype::Complex64),
                         [](const auto& test) { return std::string(name(test.param)); });

// Every value of a 16-bit float survives the way to float32 and back.
TEST(Half, EveryValueRoundTrips) {
  for (uint32_t i = 0; i < 0x10000; ++i) {
    auto bits = static_cast<uint16_t>(i);
    auto element = reinterpret_cast<const std::byte*>(&bits);
    double half = test::to_double(element, Dtype::Float16);
    double brain = test::to_double(element, Dtype::BFloat16);
    if (std::isnan(half)) {
      EXPECT_TRUE(std::isnan(from_float16(bits)));
      EXPECT_TRUE(std::isnan(from_float16(to_float16(from_float16(bits)))));
    } else {
      ASSERT_EQ(from_float16(bits), static_cast<float>(half)) << i;
      ASSERT_EQ(to_float16(from_float16(bits)), bits) << i;
    }
    if (std::isnan(brain)) {
      EXPECT_TRUE(std::isnan(from_bfloat16(to_bfloat16(from_bfloat16(bits)))));
    } else {
      ASSERT_EQ(from_bfloat16(bits), static_cast<float>(brain)) << i;
      ASSERT_EQ(to_bfloat16(from_bfloat16(bits)), bits) << i;
    }
  }
}

// Rounding, over floats of all magnitudes, is to nearest with ties to even.
TEST(Half, RoundsAsTheNaiveConversionDoes) {
  std::mt19937 random(1);
  for (int i = 0; i < 2'000'000; ++i) {
    uint32_t bits = random();
    // Half of them near the range of float16, with ties among them.
    if (i % 2) bits = (bits & 0x80001000u) | ((100 + bits % 45) << 23) | (random() & 0x007ff000u);
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    if (std::isnan(value)) continue;
    uint16_t expected;
    test::from_double(value, reinterpret_cast<std::byte*>(&expected), Dtype::Float16);
    ASSERT_EQ(to_float16(value), expected) << value;
    test::from_double(value, reinterpret_cast<std::byte*>(&expected), Dtype::BFloat16);
    ASSERT_EQ(to_bfloat16(value), expected) << value;
  }
}

// Sums of 16-bit floats are rounded once each, the same way by every instruction set of this
// machine.
TEST(Half, SumsOfAllMagnitudesOnAllInstructionSets) {
  std::mt19937 random(2);
  for (Dtype dtype : {Dtype::Float16, Dtype::BFloat16}) {
    std::vector<uint16_t> a(50'003), b(a.size()), out(a.size()), expected(a.size());
    auto value = [&](uint16_t bits) {
      return static_cast<float>(test::to_double(reinterpret_cast<const std::byte*>(&bits), dtype));
    };
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = static_cast<uint16_t>(random());
      b[i] = static_cast<uint16_t>(random());
      test::from_double(value(a[i]) + value(b[i]), reinterpret_cast<std::byte*>(&expected[i]),
                        dtype);
    }
    for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().DeInit();
      sum(out.data(), a.data(), b.data(), a.size() * 2, dtype);
      for (size_t i = 0; i < a.size(); ++i) {
        if (std::isnan(value(expected[i]))) {
          ASSERT_TRUE(std::isnan(value(out[i]))) << hwy::TargetName(target);
        } else {
          ASSERT_EQ(out[i], expected[i])
              << hwy::TargetName(target) << ": " << value(a[i]) << " + " << value(b[i]);
        }
      }
    }
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
  }
}

// Arrays are converted as single values are, whatever the instruction set.
TEST(Half, ArraysConvertAsSingleValuesDo) {
  std::mt19937 random(3);
  std::vector<uint16_t> halves((1 << 16) + 3), narrowed(halves.size());
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> floats(halves.size()), widened(halves.size());
  for (float& value : floats) {
    uint32_t bits = random();
    if (random() % 2) bits = (bits & 0x80001fffu) | ((100 + bits % 45) << 23);
    std::memcpy(&value, &bits, sizeof(value));
  }
  const auto same = [](const auto& got, const auto& single, const auto& inputs) {
    for (size_t i = 0; i < got.size(); ++i) {
      const auto expected = single(inputs[i]);
      ASSERT_EQ(std::memcmp(&got[i], &expected, sizeof(expected)), 0) << i;
    }
  };
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
    widen_float16(widened.data(), halves.data(), halves.size());
    same(widened, from_float16, halves);
    widen_bfloat16(widened.data(), halves.data(), halves.size());
    same(widened, from_bfloat16, halves);
    narrow_float16(narrowed.data(), floats.data(), floats.size());
    same(narrowed, to_float16, floats);
    narrow_bfloat16(narrowed.data(), floats.data(), floats.size());
    same(narrowed, to_bfloat16, floats);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
}

TEST(Sums, IntegersWrapAround) {
  int8_t a = 127, b = 1, out = 0;
  sum(&out, &a, &b, 1, Dtype::Int8);
  EXPECT_EQ(out, -128);
}

TEST(Sums, BoolIsOr) {
  uint8_t a[] = {0, 0, 1, 1}, b[] = {0, 1, 0, 1}, out[4];
  sum(out, a, b, 4, Dtype::Bool);
  EXPECT_EQ((std::vector<uint8_t>(out, out + 4)), (std::vector<uint8_t>{0, 1, 1, 1}));
}

}  // namespace
}  // namespace railyard
