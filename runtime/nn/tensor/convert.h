// Between stored numbers and float32.
#pragma once

#include <cstddef>

#include "railyard/dtype.h"

namespace railyard::nn {

// `count` numbers of `dtype` as float32: exact. Throws for what is no floating-point dtype.
void to_float32(const std::byte* from, Dtype dtype, size_t count, float* to);
// Rounds to nearest, ties to even.
void from_float32(const float* from, size_t count, Dtype dtype, std::byte* to);

}  // namespace railyard::nn
