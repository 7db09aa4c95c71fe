#include "railyard/nn/quantized_array.h"

#include <cmath>
#include <cstring>
#include <random>

#include "expect_refusal.h"

namespace railyard::nn {
namespace {

using test::refusal;
using testing::HasSubstr;

std::vector<uint32_t> words_of(const QuantizedArray& array) {
  std::vector<uint32_t> words(static_cast<size_t>(array.packed().count()));
  std::memcpy(words.data(), array.packed().data(), array.packed().bytes());
  return words;
}

Array random_matrix(int64_t rows, int64_t columns, Dtype dtype) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(rows * columns));
  for (float& value : values) value = normal(random);
  return {Shape{rows, columns}, dtype, values};
}

TEST(QuantizedArray, PacksFromTheLowestBitsUp) {
  // -8 ... 7 twice: the larger end is -8, so the scale is 1, the bias -8, and q counts up.
  std::vector<float> values(32);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 16) - 8;
  const auto array = QuantizedArray::quantize(Array({1, 32}, Dtype::Float32, values), {32, 4});
  EXPECT_EQ(words_of(array),
            (std::vector<uint32_t>{0x76543210, 0xfedcba98, 0x76543210, 0xfedcba98}));
  EXPECT_EQ(array.scales().values(), std::vector<float>{1});
  EXPECT_EQ(array.biases().values(), std::vector<float>{-8});
  EXPECT_EQ(array.dequantized().values(), values);
}

TEST(QuantizedArray, CountsDownFromALargerUpperEnd) {
  // 0 ... 255: the larger end is 255, which is q = 0.
  std::vector<float> values(32, 0.0f);
  values[1] = 255;
  values[2] = 254;
  const auto array = QuantizedArray::quantize(Array({1, 32}, Dtype::Float32, values), {32, 8});
  EXPECT_EQ(array.scales().values(), std::vector<float>{-1});
  EXPECT_EQ(array.biases().values(), std::vector<float>{255});
  EXPECT_EQ(words_of(array)[0], 0xff0100ffu);
  EXPECT_EQ(array.dequantized().values(), values);
}

TEST(QuantizedArray, KeepsGroupsOfEqualWeights) {
  for (float value : {0.0f, 3.25f, -1e-3f}) {
    const Array weight({2, 64}, Dtype::Float32, std::vector<float>(128, value));
    EXPECT_EQ(QuantizedArray::quantize(weight).dequantized().values(), weight.values()) << value;
  }
}

TEST(QuantizedArray, IsAsPreciseAsItsStep) {
  for (Dtype dtype : {Dtype::Float32, Dtype::Float16, Dtype::BFloat16}) {
    for (int group_size : {32, 64, 128}) {
      for (int bits : {4, 8}) {
        const Array weight = random_matrix(3, 256, dtype);
        const auto array = QuantizedArray::quantize(weight, {group_size, bits});
        const auto wanted = weight.values();
        std::vector<float> got(wanted.size());
        array.dequantize_rows(0, 3, got.data());
        const auto scales = array.scales().values(), biases = array.biases().values();
        // What rounding a scale and a bias to the dtype shifts a whole range by, and once more the
        // result's own rounding.
        const float unit = std::ldexp(1.0f, dtype == Dtype::Float32   ? -22
                                            : dtype == Dtype::Float16 ? -10
                                                                      : -7);
        for (size_t i = 0; i < wanted.size(); ++i) {
          const size_t group = i / static_cast<size_t>(group_size);
          const float step = std::abs(scales[group]), last = static_cast<float>((1 << bits) - 1);
          // The scale is bent to make one end of the range exact; the other may then lie up to a
          // step beyond the last value.
          const bool at_end = got[i] == scales[group] * last + biases[group];
          EXPECT_NEAR(got[i], wanted[i], step * (at_end ? 1 : 0.5f) + step * (last + 1) * unit)
              << i;
        }
      }
    }
  }
}

TEST(QuantizedArray, RefusesWhatItDoesNotKnow) {
  const Array weight({2, 96}, Dtype::Float32);
  EXPECT_THAT(refusal([&] {
                QuantizedArray::quantize(weight, {64, 4});
              }),
              HasSubstr("[2, 96]; a matrix with rows divisible by the group size of 64"));
  EXPECT_THAT(refusal([&] {
                QuantizedArray::quantize(weight, {48, 4});
              }),
              HasSubstr("groups of 48; 32, 64 and 128 are known"));
  EXPECT_THAT(refusal([&] {
                QuantizedArray::quantize(weight, {32, 3});
              }),
              HasSubstr("3 bits; 4 and 8 are known"));
  EXPECT_THAT(refusal([&] {
                QuantizedArray::quantize(
                    Array({1, 32}, Dtype::Float32, std::vector<float>(32, NAN)), {32, 4});
              }),
              HasSubstr("not a number"));
  EXPECT_THAT(refusal([&] {
                QuantizedArray(Array({2, 8}, Dtype::UInt32), Array({2, 2}, Dtype::Float16),
                               Array({2, 1}, Dtype::Float16), {32, 4});
              }),
              HasSubstr("[2, 64] in groups of 32 need scales and biases [2, 2]"));
  EXPECT_THAT(refusal([&] {
                QuantizedArray(weight, Array({2, 2}, Dtype::Float16), Array({2, 2}, Dtype::Float16),
                               {32, 4});
              }),
              HasSubstr("matrix of uint32"));
}

}  // namespace
}  // namespace railyard::nn
