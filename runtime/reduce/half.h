// Conversions of 16-bit floats in integer arithmetic that compilers turn into vector code.
#pragma once

#include <bit>
#include <cstdint>

namespace railyard {

inline float from_bfloat16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Rounds to nearest, ties to even; a NaN stays one.
inline uint16_t to_bfloat16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  uint32_t quiet = (bits >> 16) | 0x40u;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

// No intermediate is a subnormal float: those are slow, and some programs switch them off.
inline float from_float16(uint16_t half) {
  uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  uint32_t magnitude = half & 0x7fffu;
  float units = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f;  // a subnormal half
  uint32_t subnormal = std::bit_cast<uint32_t>(units);
  uint32_t normal = (magnitude << 13) + 0x38000000u;  // the exponent's bias from 15 to 127
  uint32_t special = (magnitude << 13) | 0x7f800000u;
  uint32_t finite = magnitude < 0x0400u ? subnormal : normal;
  return std::bit_cast<float>(sign | (magnitude >= 0x7c00u ? special : finite));
}

// Rounds to nearest, ties to even; beyond the largest: infinity; a NaN stays one.
inline uint16_t to_float16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & 0x7fffffffu;
  // Adding 0.5 lines the last bit of a subnormal half up with the last bit of the float, so that
  // the addition itself rounds.
  float half_aligned = std::bit_cast<float>(magnitude) + 0.5f;
  uint32_t subnormal = std::bit_cast<uint32_t>(half_aligned) - 0x3f000000u;
  uint32_t normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;
  return static_cast<uint16_t>(sign | (magnitude >= 0x477ff000u ? special : finite));
}

}  // namespace railyard
