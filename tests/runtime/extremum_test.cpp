#include "reduce/extremum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace railyard {
namespace {

template <typename T>
std::vector<T> largest(std::vector<T> a, const std::vector<T>& b, Dtype dtype) {
  maximum(a.data(), a.data(), b.data(), a.size() * sizeof(T), dtype);
  return a;
}

template <typename T>
std::vector<T> smallest(const std::vector<T>& a, std::vector<T> b, Dtype dtype) {
  minimum(b.data(), a.data(), b.data(), a.size() * sizeof(T), dtype);
  return b;
}

TEST(Extremum, KnowsTheSign) {
  using Signed = std::vector<int8_t>;
  EXPECT_EQ(largest<int8_t>({-1, 3, -128}, {1, -3, 127}, Dtype::Int8), (Signed{1, 3, 127}));
  EXPECT_EQ(smallest<int8_t>({-1, 3, -128}, {1, -3, 127}, Dtype::Int8), (Signed{-1, -3, -128}));
  using Unsigned = std::vector<uint8_t>;
  EXPECT_EQ(largest<uint8_t>({255, 3}, {1, 200}, Dtype::UInt8), (Unsigned{255, 200}));
}

TEST(Extremum, OfLargeIntegersIsExact) {
  int64_t most = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(largest<int64_t>({most - 1}, {most}, Dtype::Int64), std::vector<int64_t>{most});
  EXPECT_EQ(smallest<int64_t>({most - 1}, {most}, Dtype::Int64), std::vector<int64_t>{most - 1});
}

TEST(Extremum, ComparesHalvesAsNumbers) {
  // -2, 1.5 and the smallest subnormal; -1, 1 and -0.
  std::vector<uint16_t> a{0xc000, 0x3e00, 0x0001}, b{0xbc00, 0x3c00, 0x8000};
  EXPECT_EQ(largest(a, b, Dtype::Float16), (std::vector<uint16_t>{0xbc00, 0x3e00, 0x0001}));
  EXPECT_EQ(smallest(a, b, Dtype::Float16), (std::vector<uint16_t>{0xc000, 0x3c00, 0x8000}));
  EXPECT_EQ(largest(a, b, Dtype::BFloat16), (std::vector<uint16_t>{0xbc00, 0x3e00, 0x0001}));
}

TEST(Extremum, NanWinsOnEitherSide) {
  float nan = std::nanf("");
  for (float value : largest<float>({nan, 1}, {1, nan}, Dtype::Float32)) {
    EXPECT_TRUE(std::isnan(value));
  }
  for (float value : smallest<float>({nan, 1}, {1, nan}, Dtype::Float32)) {
    EXPECT_TRUE(std::isnan(value));
  }
}

TEST(Extremum, ComparesComplexByRealThenImaginaryPart) {
  std::vector<float> a{1, 9, 2, 5}, b{2, 0, 2, 6};
  EXPECT_EQ(largest(a, b, Dtype::Complex64), (std::vector<float>{2, 0, 2, 6}));
  EXPECT_EQ(smallest(a, b, Dtype::Complex64), (std::vector<float>{1, 9, 2, 5}));
}

}  // namespace
}  // namespace railyard
