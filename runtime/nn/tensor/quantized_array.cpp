#include "railyard/nn/quantized_array.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "nn/tensor/check.h"
#include "nn/tensor/convert.h"

namespace railyard::nn {
namespace {

constexpr int kWordBits = 32;
constexpr float kSmallestScale = 1e-7f;  // MLX's: a group of equal weights has no range

void check(const Quantization& quantization) {
  const auto [group_size, bits] = quantization;
  if (group_size != 32 && group_size != 64 && group_size != 128) {
    fail("quantize", fmt::format("groups of {}; 32, 64 and 128 are known", group_size));
  }
  if (bits != 4 && bits != 8) fail("quantize", fmt::format("{} bits; 4 and 8 are known", bits));
}

struct Affine {
  float scale = 0, bias = 0;
};

// As mlx/backend/cpu/quantized.cpp: the scale is bent so that the larger end of the range, and zero
// with it where the range has it, are multiples of it.
Affine affine_of(const float* weights, int group_size, int bits) {
  const auto [lowest, highest] = std::minmax_element(weights, weights + group_size);
  const auto steps = static_cast<float>((1 << bits) - 1);
  const bool low_is_larger = std::abs(*lowest) > std::abs(*highest);
  const float width = std::max((*highest - *lowest) / steps, kSmallestScale);
  const float scale = low_is_larger ? width : -width;
  const float edge = low_is_larger ? *lowest : *highest;
  const float steps_to_edge = std::rint(edge / scale);
  if (steps_to_edge == 0) return {scale, 0};
  return {edge / steps_to_edge, edge};
}

uint32_t quantized(float weight, const Affine& affine, int bits) {
  const float step = std::rint((weight - affine.bias) / affine.scale);
  return static_cast<uint32_t>(std::clamp(step, 0.0f, static_cast<float>((1 << bits) - 1)));
}

// Words are packed from their lowest bits up: their bytes are the weights in order, or pairs of
// them. A loop over bytes becomes vector code, one over bits of words does not.
static_assert(std::endian::native == std::endian::little);

void dequantize_bytes(const uint8_t* packed, size_t count, float scale, float bias, float* to) {
  for (size_t i = 0; i < count; ++i) to[i] = scale * static_cast<float>(packed[i]) + bias;
}

void dequantize_pairs(const uint8_t* packed, size_t count, float scale, float bias, float* to) {
  for (size_t i = 0; i < count / 2; ++i) {
    to[2 * i] = scale * static_cast<float>(packed[i] & 15) + bias;
    to[2 * i + 1] = scale * static_cast<float>(packed[i] >> 4) + bias;
  }
}

}  // namespace

QuantizedArray::QuantizedArray(Array packed, Array scales, Array biases, Quantization quantization)
    : packed_(std::move(packed)),
      scales_(std::move(scales)),
      biases_(std::move(biases)),
      quantization_(quantization) {
  check(quantization_);
  if (packed_.dimensions() != 2 || packed_.dtype() != Dtype::UInt32) {
    fail("QuantizedArray", fmt::format("packed weights are a matrix of uint32, not {} of shape {}",
                                       name(packed_.dtype()), text_of(packed_.shape())));
  }
  const Shape groups = {out(), in() / quantization_.group_size};
  if (in() % quantization_.group_size != 0 || scales_.shape() != groups ||
      biases_.shape() != groups || scales_.dtype() != biases_.dtype()) {
    fail("QuantizedArray",
         fmt::format("weights {} in groups of {} need scales and biases {} of one dtype; "
                     "they have {} and {}",
                     text_of({out(), in()}), quantization_.group_size, text_of(groups),
                     text_of(scales_.shape()), text_of(biases_.shape())));
  }
}

QuantizedArray QuantizedArray::quantize(const Array& weight, Quantization quantization) {
  check(quantization);
  const auto [group_size, bits] = quantization;
  if (weight.dimensions() != 2 || weight.extent(1) % group_size != 0) {
    fail("quantize", fmt::format("a weight of shape {}; a matrix with rows divisible by the group "
                                 "size of {} is needed",
                                 text_of(weight.shape()), group_size));
  }
  const std::vector<float> values = weight.values();
  if (!std::all_of(values.begin(), values.end(),
                   [](float value) { return std::isfinite(value); })) {
    fail("quantize", "a weight is infinite or not a number");
  }
  const int64_t out = weight.extent(0), in = weight.extent(1);
  const int per_word = kWordBits / bits;
  std::vector<uint32_t> words(values.size() / static_cast<size_t>(per_word));
  std::vector<float> scales, biases;
  for (size_t begin = 0; begin < values.size(); begin += static_cast<size_t>(group_size)) {
    const Affine affine = affine_of(&values[begin], group_size, bits);
    scales.push_back(affine.scale);
    biases.push_back(affine.bias);
    for (size_t i = begin; i < begin + static_cast<size_t>(group_size); ++i) {
      const auto place = static_cast<int>(i % static_cast<size_t>(per_word));
      words[i / static_cast<size_t>(per_word)] |= quantized(values[i], affine, bits)
                                                  << (place * bits);
    }
  }
  Array packed({out, in / per_word}, Dtype::UInt32);
  if (!words.empty()) std::memcpy(packed.data(), words.data(), packed.bytes());
  const Shape groups = {out, in / group_size};
  return {std::move(packed), Array(groups, weight.dtype(), scales),
          Array(groups, weight.dtype(), biases), quantization};
}

void QuantizedArray::dequantize_rows(int64_t begin, int64_t rows, float* to) const {
  const auto [group_size, bits] = quantization_;
  const auto dequantize_group = bits == 4 ? dequantize_pairs : dequantize_bytes;
  const auto groups = static_cast<size_t>(scales_.extent(1));
  const auto count = static_cast<size_t>(group_size);
  const size_t group_bytes = count * static_cast<size_t>(bits) / 8;
  const auto* packed = reinterpret_cast<const uint8_t*>(packed_.data()) +
                       static_cast<size_t>(begin) * groups * group_bytes;
  std::vector<float> scales(groups), biases(groups);
  for (int64_t row = begin; row < begin + rows; ++row) {
    const size_t offset = static_cast<size_t>(row) * groups * size_of(scales_.dtype());
    to_float32(scales_.data() + offset, scales_.dtype(), groups, scales.data());
    to_float32(biases_.data() + offset, biases_.dtype(), groups, biases.data());
    for (size_t group = 0; group < groups; ++group) {
      dequantize_group(packed, count, scales[group], biases[group], to);
      packed += group_bytes;
      to += count;
    }
  }
}

Array QuantizedArray::dequantized() const {
  std::vector<float> values(static_cast<size_t>(out() * in()));
  dequantize_rows(0, out(), values.data());
  return {Shape{out(), in()}, scales_.dtype(), values};
}

}  // namespace railyard::nn
