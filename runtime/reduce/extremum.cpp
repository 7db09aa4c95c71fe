#include "reduce/extremum.h"

#include <cstdint>

#include "reduce/half.h"

namespace railyard {

namespace {

// What elements are compared as.
template <typename T>
struct Plain {
  using Element = T;
  static T value(T element) { return element; }
};

struct Float16 {
  using Element = uint16_t;
  static float value(uint16_t element) { return from_float16(element); }
};

struct BFloat16 {
  using Element = uint16_t;
  static float value(uint16_t element) { return from_bfloat16(element); }
};

struct Complex {
  float real, imaginary;

  bool operator<(const Complex& other) const {
    return real < other.real || (real == other.real && imaginary < other.imaginary);
  }
};

template <typename T>
bool is_nan(T value) {
  return value != value;
}
bool is_nan(const Complex& value) { return is_nan(value.real) || is_nan(value.imaginary); }

template <typename Kind, bool kLargest>
void choose(void* out, const void* a, const void* b, size_t bytes) {
  using Element = typename Kind::Element;
  auto* result = static_cast<Element*>(out);
  auto* left = static_cast<const Element*>(a);
  auto* right = static_cast<const Element*>(b);
  for (size_t i = 0, count = bytes / sizeof(Element); i < count; ++i) {
    auto x = Kind::value(left[i]), y = Kind::value(right[i]);
    bool better = kLargest ? x < y : y < x;
    bool take_right = (better || is_nan(y)) && !is_nan(x);
    result[i] = take_right ? right[i] : left[i];
  }
}

template <bool kLargest>
void choose(void* out, const void* a, const void* b, size_t bytes, Dtype dtype) {
  switch (dtype) {
    case Dtype::Bool:
    case Dtype::UInt8:
      return choose<Plain<uint8_t>, kLargest>(out, a, b, bytes);
    case Dtype::Int8:
      return choose<Plain<int8_t>, kLargest>(out, a, b, bytes);
    case Dtype::Int16:
      return choose<Plain<int16_t>, kLargest>(out, a, b, bytes);
    case Dtype::Int32:
      return choose<Plain<int32_t>, kLargest>(out, a, b, bytes);
    case Dtype::Int64:
      return choose<Plain<int64_t>, kLargest>(out, a, b, bytes);
    case Dtype::UInt16:
      return choose<Plain<uint16_t>, kLargest>(out, a, b, bytes);
    case Dtype::UInt32:
      return choose<Plain<uint32_t>, kLargest>(out, a, b, bytes);
    case Dtype::UInt64:
      return choose<Plain<uint64_t>, kLargest>(out, a, b, bytes);
    case Dtype::Float16:
      return choose<Float16, kLargest>(out, a, b, bytes);
    case Dtype::BFloat16:
      return choose<BFloat16, kLargest>(out, a, b, bytes);
    case Dtype::Float32:
      return choose<Plain<float>, kLargest>(out, a, b, bytes);
    case Dtype::Float64:
      return choose<Plain<double>, kLargest>(out, a, b, bytes);
    case Dtype::Complex64:
      return choose<Plain<Complex>, kLargest>(out, a, b, bytes);
  }
}

}  // namespace

void maximum(void* out, const void* a, const void* b, size_t bytes, Dtype dtype) {
  choose<true>(out, a, b, bytes, dtype);
}

void minimum(void* out, const void* a, const void* b, size_t bytes, Dtype dtype) {
  choose<false>(out, a, b, bytes, dtype);
}

}  // namespace railyard
