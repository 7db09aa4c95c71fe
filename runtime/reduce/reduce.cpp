#include "reduce/reduce.h"

#include <cstdint>

#include "reduce/half_sum.h"
#include "reduce/wide_sum.h"

namespace railyard {

namespace {

// Elements that are added sooner than the function for the processor is found.
constexpr size_t kFew = 4;

// 0 or 1 each, whatever other bits the caller has left there.
void sum_bools(void* out, const void* a, const void* b, size_t bytes) {
  auto* result = static_cast<uint8_t*>(out);
  auto* left = static_cast<const uint8_t*>(a);
  auto* right = static_cast<const uint8_t*>(b);
  for (size_t i = 0; i < bytes; ++i) result[i] = (left[i] | right[i]) != 0;
}

// Integers come as unsigned ones: they wrap around, and two's complement makes signed sums the
// same.
template <typename T>
void sum_of(void* out, const void* a, const void* b, size_t bytes) {
  auto* result = static_cast<T*>(out);
  auto* left = static_cast<const T*>(a);
  auto* right = static_cast<const T*>(b);
  size_t count = bytes / sizeof(T);
  if (count > kFew) return sum_numbers(result, left, right, count);
  for (size_t i = 0; i < count; ++i) result[i] = static_cast<T>(left[i] + right[i]);
}

template <typename Sum>
void sum_halves(Sum sum_of_halves, void* out, const void* a, const void* b, size_t bytes) {
  sum_of_halves(static_cast<uint16_t*>(out), static_cast<const uint16_t*>(a),
                static_cast<const uint16_t*>(b), bytes / sizeof(uint16_t));
}

}  // namespace

void sum(void* out, const void* a, const void* b, size_t bytes, Dtype dtype) {
  switch (dtype) {
    case Dtype::Bool:
      return sum_bools(out, a, b, bytes);
    case Dtype::Int8:
    case Dtype::UInt8:
      return sum_of<uint8_t>(out, a, b, bytes);
    case Dtype::Int16:
    case Dtype::UInt16:
      return sum_of<uint16_t>(out, a, b, bytes);
    case Dtype::Int32:
    case Dtype::UInt32:
      return sum_of<uint32_t>(out, a, b, bytes);
    case Dtype::Int64:
    case Dtype::UInt64:
      return sum_of<uint64_t>(out, a, b, bytes);
    case Dtype::Float16:
      return sum_halves(sum_float16, out, a, b, bytes);
    case Dtype::BFloat16:
      return sum_halves(sum_bfloat16, out, a, b, bytes);
    case Dtype::Float32:
    case Dtype::Complex64:  // sums of its two halves
      return sum_of<float>(out, a, b, bytes);
    case Dtype::Float64:
      return sum_of<double>(out, a, b, bytes);
  }
}

}  // namespace railyard
