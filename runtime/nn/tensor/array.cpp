#include "railyard/nn/array.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "nn/tensor/check.h"
#include "reduce/half.h"

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

template <typename Stored, typename Convert>
void read(const std::byte* from, std::span<float> to, Convert convert) {
  const auto* stored = reinterpret_cast<const Stored*>(from);
  std::transform(stored, stored + to.size(), to.begin(), convert);
}

template <typename Stored, typename Convert>
void write(std::span<const float> from, std::byte* to, Convert convert) {
  std::transform(from.begin(), from.end(), reinterpret_cast<Stored*>(to), convert);
}

[[noreturn]] void fail_dtype(Dtype dtype) {
  fail("Array", fmt::format("{} numbers are not computed with; float32, float16 and bfloat16 are",
                            name(dtype)));
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
  if (values.empty()) return;
  switch (dtype) {
    case Dtype::Float32:
      std::memcpy(data(), values.data(), bytes());
      return;
    case Dtype::Float16:
      write<uint16_t>(values, data(), to_float16);
      return;
    case Dtype::BFloat16:
      write<uint16_t>(values, data(), to_bfloat16);
      return;
    default:
      fail_dtype(dtype);
  }
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
  switch (dtype_) {
    case Dtype::Float32:
      if (!values.empty()) std::memcpy(values.data(), data(), bytes());
      break;
    case Dtype::Float16:
      read<uint16_t>(data(), values, from_float16);
      break;
    case Dtype::BFloat16:
      read<uint16_t>(data(), values, from_bfloat16);
      break;
    default:
      fail_dtype(dtype_);
  }
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
