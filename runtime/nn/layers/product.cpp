#include "nn/layers/product.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "nn/tensor/check.h"
#include "nn/tensor/convert.h"
#include "nn/tensor/matmul.h"
#include "railyard/nn/linear.h"

namespace railyard::nn {
namespace {

constexpr int64_t kBlockElements = 256 * 1024;  // 1 MiB of float32: stays in a core's cache

int64_t rows_of(const Array& array) {
  int64_t rows = 1;
  for (int axis = 0; axis + 1 < array.dimensions(); ++axis) rows *= array.extent(axis);
  return rows;
}

void check_features(const char* what, const Array& array, int64_t features) {
  if (array.dimensions() > 0 && array.extent(-1) == features) return;
  fail("Linear", fmt::format("{} of shape {}; its last axis must be {}", what,
                             text_of(array.shape()), features));
}

Shape with_features(Shape shape, int64_t features) {
  shape.back() = features;
  return shape;
}

// Float32 values without a copy where they are that already.
class Values {
 public:
  explicit Values(const Array& array) {
    if (array.dtype() == Dtype::Float32) {
      data_ = reinterpret_cast<const float*>(array.data());
    } else {
      converted_ = array.values();
      data_ = converted_.data();
    }
  }
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;
  const float* data() const { return data_; }

 private:
  std::vector<float> converted_;
  const float* data_ = nullptr;
};

void add_to_rows(std::vector<float>& y, const Array& bias) {
  const std::vector<float> values = bias.values();
  for (size_t i = 0; i < y.size(); ++i) y[i] += values[i % values.size()];
}

}  // namespace

RowBlocks::RowBlocks(const Array& weight)
    : plain_(&weight), out_(weight.extent(0)), in_(weight.extent(1)) {}

RowBlocks::RowBlocks(const QuantizedArray& weight)
    : quantized_(&weight), out_(weight.out()), in_(weight.in()) {}

std::optional<RowBlock> RowBlocks::next() {
  if (begin_ == out_) return std::nullopt;
  const bool in_place = plain_ != nullptr && plain_->dtype() == Dtype::Float32;
  const int64_t most =
      in_place ? out_ : std::max<int64_t>(kBlockElements / std::max<int64_t>(in_, 1), 1);
  const RowBlock block = {nullptr, begin_, std::min(most, out_ - begin_)};
  begin_ += block.rows;
  if (in_place) return RowBlock{reinterpret_cast<const float*>(plain_->data()), 0, out_};

  buffer_.resize(static_cast<size_t>(block.rows * in_));
  if (quantized_ != nullptr) {
    quantized_->dequantize_rows(block.begin, block.rows, buffer_.data());
  } else {
    const size_t offset = static_cast<size_t>(block.begin * in_) * size_of(plain_->dtype());
    to_float32(plain_->data() + offset, plain_->dtype(), buffer_.size(), buffer_.data());
  }
  return RowBlock{buffer_.data(), block.begin, block.rows};
}

Array product(const Array& x, RowBlocks weight, const std::optional<Array>& bias) {
  check_features("input", x, weight.in());
  const int64_t rows = rows_of(x), out = weight.out();
  const Values values(x);
  std::vector<float> y(static_cast<size_t>(rows * out));
  while (const auto block = weight.next()) {
    multiply_transposed(values.data(), block->data, y.data() + block->begin, rows, weight.in(),
                        block->rows, out);
  }
  if (bias) add_to_rows(y, *bias);
  return {with_features(x.shape(), out), x.dtype(), y};
}

Array plus_bias(const Array& y, const Array& bias) {
  std::vector<float> values = y.values();
  add_to_rows(values, bias);
  return {y.shape(), y.dtype(), values};
}

Array input_gradient(const Array& dy, RowBlocks weight) {
  check_features("output gradient", dy, weight.out());
  const int64_t rows = rows_of(dy);
  const Values values(dy);
  std::vector<float> dx(static_cast<size_t>(rows * weight.in()));
  while (const auto block = weight.next()) {
    add_product(values.data() + block->begin, weight.out(), block->data, dx.data(), rows,
                block->rows, weight.in());
  }
  return {with_features(dy.shape(), weight.in()), dy.dtype(), dx};
}

Array weight_gradient(const Array& x, const Array& dy, Dtype dtype) {
  if (rows_of(x) != rows_of(dy)) {
    fail("Linear", fmt::format("an input of shape {} and an output gradient of shape {}",
                               text_of(x.shape()), text_of(dy.shape())));
  }
  const int64_t in = x.extent(-1), out = dy.extent(-1);
  const Values x_values(x), dy_values(dy);
  std::vector<float> dw(static_cast<size_t>(out * in));
  transposed_product(dy_values.data(), x_values.data(), dw.data(), rows_of(x), out, in);
  return {Shape{out, in}, dtype, dw};
}

Array bias_gradient(const Array& dy, Dtype dtype) {
  const std::vector<float> values = dy.values();
  std::vector<float> sums(static_cast<size_t>(dy.extent(-1)));
  for (size_t i = 0; i < values.size(); ++i) sums[i % sums.size()] += values[i];
  return {Shape{dy.extent(-1)}, dtype, sums};
}

}  // namespace railyard::nn
