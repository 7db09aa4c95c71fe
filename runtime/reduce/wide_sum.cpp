// Compiled once for each vector instruction set; the best one that the processor has is taken at
// run time.
#include "reduce/wide_sum.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reduce/wide_sum.cpp"
// clang-format off: the order matters
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace railyard::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
HWY_INLINE void add_all(T* out, const T* a, const T* b, size_t count) {
  const hn::ScalableTag<T> numbers;
  const size_t lanes = hn::Lanes(numbers);
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    auto first = hn::Add(hn::LoadU(numbers, a + i), hn::LoadU(numbers, b + i));
    auto second = hn::Add(hn::LoadU(numbers, a + i + lanes), hn::LoadU(numbers, b + i + lanes));
    hn::StoreU(first, numbers, out + i);
    hn::StoreU(second, numbers, out + i + lanes);
  }
  for (; i < count; ++i) out[i] = static_cast<T>(a[i] + b[i]);
}

void sum_8(uint8_t* out, const uint8_t* a, const uint8_t* b, size_t n) { add_all(out, a, b, n); }
void sum_16(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t n) {
  add_all(out, a, b, n);
}
void sum_32(uint32_t* out, const uint32_t* a, const uint32_t* b, size_t n) {
  add_all(out, a, b, n);
}
void sum_64(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n) {
  add_all(out, a, b, n);
}
void sum_float(float* out, const float* a, const float* b, size_t n) { add_all(out, a, b, n); }
void sum_double(double* out, const double* a, const double* b, size_t n) { add_all(out, a, b, n); }

}  // namespace railyard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace railyard {

HWY_EXPORT(sum_8);
HWY_EXPORT(sum_16);
HWY_EXPORT(sum_32);
HWY_EXPORT(sum_64);
HWY_EXPORT(sum_float);
HWY_EXPORT(sum_double);

void sum_numbers(uint8_t* out, const uint8_t* a, const uint8_t* b, size_t count) {
  HWY_DYNAMIC_DISPATCH(sum_8)(out, a, b, count);
}
void sum_numbers(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t count) {
  HWY_DYNAMIC_DISPATCH(sum_16)(out, a, b, count);
}
void sum_numbers(uint32_t* out, const uint32_t* a, const uint32_t* b, size_t count) {
  HWY_DYNAMIC_DISPATCH(sum_32)(out, a, b, count);
}
void sum_numbers(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t count) {
  HWY_DYNAMIC_DISPATCH(sum_64)(out, a, b, count);
}
void sum_numbers(float* out, const float* a, const float* b, size_t count) {
  HWY_DYNAMIC_DISPATCH(sum_float)(out, a, b, count);
}
void sum_numbers(double* out, const double* a, const double* b, size_t count) {
  HWY_DYNAMIC_DISPATCH(sum_double)(out, a, b, count);
}

}  // namespace railyard
#endif
