#include "nn/tensor/convert.h"

#include <fmt/format.h>

#include <cstring>

#include "nn/tensor/check.h"
#include "reduce/half_sum.h"

namespace railyard::nn {
namespace {

[[noreturn]] void fail_dtype(Dtype dtype) {
  fail("Array", fmt::format("{} numbers are not computed with; float32, float16 and bfloat16 are",
                            name(dtype)));
}

}  // namespace

void to_float32(const std::byte* from, Dtype dtype, size_t count, float* to) {
  switch (dtype) {
    case Dtype::Float32:
      if (count > 0) std::memcpy(to, from, count * sizeof(float));
      return;
    case Dtype::Float16:
      return widen_float16(to, reinterpret_cast<const uint16_t*>(from), count);
    case Dtype::BFloat16:
      return widen_bfloat16(to, reinterpret_cast<const uint16_t*>(from), count);
    default:
      fail_dtype(dtype);
  }
}

void from_float32(const float* from, size_t count, Dtype dtype, std::byte* to) {
  switch (dtype) {
    case Dtype::Float32:
      if (count > 0) std::memcpy(to, from, count * sizeof(float));
      return;
    case Dtype::Float16:
      return narrow_float16(reinterpret_cast<uint16_t*>(to), from, count);
    case Dtype::BFloat16:
      return narrow_bfloat16(reinterpret_cast<uint16_t*>(to), from, count);
    default:
      fail_dtype(dtype);
  }
}

}  // namespace railyard::nn
