// Weights of a few bits each, in MLX's affine format.
#pragma once

#include <cstdint>

#include "railyard/nn/array.h"

namespace railyard::nn {

struct Quantization {
  int group_size = 64;  // weights that share a scale and a bias: 32, 64 or 128
  int bits = 4;         // of one weight: 4 or 8
};

// A matrix [out, in] whose element is scale * q + bias, with q of `bits` bits. Consecutive elements
// of a row fill a 32-bit word from its lowest bits up; each group of `group_size` elements of a row
// has one scale and one bias. The layout is that of mlx.core.quantize (mode "affine"). Immutable.
class QuantizedArray {
 public:
  // packed: UInt32 [out, in * bits / 32]; scales and biases: [out, in / group_size], of one
  // floating-point dtype.
  QuantizedArray(Array packed, Array scales, Array biases, Quantization quantization);

  // Quantises as MLX does: per group, the end of the range with the larger magnitude is represented
  // exactly. `in` must be divisible by the group size. Scales and biases get the weight's dtype.
  static QuantizedArray quantize(const Array& weight, Quantization quantization = {});

  // [out, in], in the dtype of the scales.
  Array dequantized() const;
  // `rows` rows from `begin` on, as float32.
  void dequantize_rows(int64_t begin, int64_t rows, float* to) const;

  int64_t out() const { return packed_.extent(0); }
  int64_t in() const { return packed_.extent(1) * 32 / quantization_.bits; }
  const Quantization& quantization() const { return quantization_; }
  const Array& packed() const { return packed_; }
  const Array& scales() const { return scales_; }
  const Array& biases() const { return biases_; }

  friend bool operator==(const QuantizedArray& a, const QuantizedArray& b) {
    return a.packed_ == b.packed_ && a.scales_ == b.scales_ && a.biases_ == b.biases_;
  }

 private:
  Array packed_, scales_, biases_;
  Quantization quantization_;
};

}  // namespace railyard::nn
