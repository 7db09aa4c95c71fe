// An array of numbers in memory, row by row: weights, activations and gradients.
//
// Layers compute in float32 whatever the arrays' dtype, and round once, when the result is stored.
//
// Errors: everything in railyard/nn throws railyard::Error with ErrorCode::configuration when
// shapes, dtypes or the number of ranks do not fit; what() is one line that says what would. Such
// errors are thrown before anything is exchanged and for reasons that all ranks share, so the group
// stays usable. Errors of the group itself pass through.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "railyard/dtype.h"

namespace railyard::nn {

using Shape = std::vector<int64_t>;

// "[4, 4096]"
std::string text_of(const Shape& shape);

// A value: copies copy the elements. Not for concurrent writing.
class Array {
 public:
  Array() = default;  // shape [0] of float32
  // Zeros. Dtypes are Float32, Float16 and BFloat16 for numbers, UInt32 for packed weights.
  Array(Shape shape, Dtype dtype);
  // `values`, as many as the shape has elements, rounded to `dtype` (to nearest, ties to even).
  Array(Shape shape, Dtype dtype, std::span<const float> values);

  const Shape& shape() const { return shape_; }
  Dtype dtype() const { return dtype_; }
  int dimensions() const { return static_cast<int>(shape_.size()); }
  // The extent of an axis; negative axes count from the last (-1).
  int64_t extent(int axis) const;
  int64_t count() const { return static_cast<int64_t>(bytes() / size_of(dtype_)); }
  size_t bytes() const { return data_.size(); }

  // The elements, aligned for any type.
  std::byte* data() { return data_.data(); }
  const std::byte* data() const { return data_.data(); }

  // The elements as float32: exact. Not for UInt32.
  std::vector<float> values() const;
  // The same numbers in another dtype, rounded where it is narrower.
  Array as(Dtype dtype) const;
  // The same elements in another shape of as many.
  Array reshaped(Shape shape) const;

  // The same shape, dtype and bytes.
  friend bool operator==(const Array&, const Array&) = default;

 private:
  Shape shape_ = {0};
  Dtype dtype_ = Dtype::Float32;
  std::vector<std::byte> data_;
};

}  // namespace railyard::nn
