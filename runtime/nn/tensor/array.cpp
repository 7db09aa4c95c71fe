#include "railyard/nn/array.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "nn/tensor/check.h"
#include "nn/tensor/convert.h"

namespace railyard::nn {
namespace {

size_t bytes_of(const Shape& shape, Dtype dtype) {
  size_t bytes = size_of(dtype);
  for (int64_t extent : shape) {
    if (extent < 0) fail("Array", fmt::format("shape {} has a negative extent", text_of(shape)));
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(extent), &bytes)) {
      fail("Array", fmt::format("shape {} is larger than memory", text_of(shape)));
    }
  }
  return bytes;
}

}  // namespace

std::string text_of(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Array::Array(Shape shape, Dtype dtype)
    : shape_(std::move(shape)), dtype_(dtype), data_(bytes_of(shape_, dtype)) {}

Array::Array(Shape shape, Dtype dtype, std::span<const float> values)
    : Array(std::move(shape), dtype) {
  if (static_cast<int64_t>(values.size()) != count()) {
    fail("Array", fmt::format("{} values for shape {}", values.size(), text_of(shape_)));
  }
  from_float32(values.data(), values.size(), dtype, data());
}

int64_t Array::extent(int axis) const {
  const int index = axis < 0 ? axis + dimensions() : axis;
  if (index < 0 || index >= dimensions()) {
    fail("Array", fmt::format("shape {} has no axis {}", text_of(shape_), axis));
  }
  return shape_[static_cast<size_t>(index)];
}

std::vector<float> Array::values() const {
  std::vector<float> values(static_cast<size_t>(count()));
  to_float32(data(), dtype_, values.size(), values.data());
  return values;
}

Array Array::as(Dtype dtype) const {
  return dtype == dtype_ ? *this : Array(shape_, dtype, values());
}

Array Array::reshaped(Shape shape) const {
  Array result = *this;
  if (bytes_of(shape, dtype_) != bytes()) {
    fail("Array", fmt::format("shape {} cannot become {}", text_of(shape_), text_of(shape)));
  }
  result.shape_ = std::move(shape);
  return result;
}

}  // namespace railyard::nn
