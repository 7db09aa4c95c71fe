// Sums of arrays of numbers that are added as they are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace railyard {

// out[i] = a[i] + b[i]; integers wrap around. `out` may be `a` or `b`.
void sum_numbers(uint8_t* out, const uint8_t* a, const uint8_t* b, size_t count);
void sum_numbers(uint16_t* out, const uint16_t* a, const uint16_t* b, size_t count);
void sum_numbers(uint32_t* out, const uint32_t* a, const uint32_t* b, size_t count);
void sum_numbers(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t count);
void sum_numbers(float* out, const float* a, const float* b, size_t count);
void sum_numbers(double* out, const double* a, const double* b, size_t count);

}  // namespace railyard
