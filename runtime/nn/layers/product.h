// Products with a weight in any format, in float32, without a float32 copy of the whole weight.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "railyard/nn/array.h"
#include "railyard/nn/quantized_array.h"

namespace railyard::nn {

// A stretch of a weight's rows, as float32. Valid until the reader's next block.
struct RowBlock {
  const float* data = nullptr;
  int64_t begin = 0, rows = 0;
};

// Reads a weight block by block: `for (RowBlocks blocks(w); auto block = blocks.next();)`.
class RowBlocks {
 public:
  explicit RowBlocks(const Array& weight);
  explicit RowBlocks(const QuantizedArray& weight);
  std::optional<RowBlock> next();

  int64_t out() const { return out_; }
  int64_t in() const { return in_; }

 private:
  const Array* plain_ = nullptr;
  const QuantizedArray* quantized_ = nullptr;
  int64_t out_ = 0, in_ = 0, begin_ = 0;
  std::vector<float> buffer_;
};

// x [..., in] times the transposed weight [out, in], plus a bias of [out]; in the dtype of x.
Array product(const Array& x, RowBlocks weight, const std::optional<Array>& bias);

// y + bias along the last axis.
Array plus_bias(const Array& y, const Array& bias);

// dy [..., out] times the weight [out, in]: the gradient of x.
Array input_gradient(const Array& dy, RowBlocks weight);
// The gradients of a weight [out, in] and a bias [out], in the dtype of each.
Array weight_gradient(const Array& x, const Array& dy, Dtype dtype);
Array bias_gradient(const Array& dy, Dtype dtype);

}  // namespace railyard::nn
