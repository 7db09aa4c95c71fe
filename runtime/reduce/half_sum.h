// Sums and conversions of arrays of 16-bit floats.
#pragma once

#include <cstddef>
#include <cstdint>

namespace railyard {

// out[i] = a[i] + b[i] as float32, rounded to nearest with ties to even: the same bits on every
// processor. `out` may be `a` or `b`.
void sum_float16(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t count);
void sum_bfloat16(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t count);

// As the functions of half.h, for each element. `out` and `in` do not overlap.
void widen_float16(float* out, const uint16_t* in, size_t count);
void widen_bfloat16(float* out, const uint16_t* in, size_t count);
void narrow_float16(uint16_t* out, const float* in, size_t count);
void narrow_bfloat16(uint16_t* out, const float* in, size_t count);

}  // namespace railyard
