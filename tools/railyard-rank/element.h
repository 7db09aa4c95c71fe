// The element types of a collective, as the worker sees them: written anew here, so that a mistake
// in the runtime's own conversions shows as wrong data.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

namespace railyard::rank {

// In JACCL's order, from 0.
enum class ElementType : int {
  bool8,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float16,
  bfloat16,
  float32,
  float64,
  complex64,
};

// By the name that scenarios use: "bool", "int8", ..., "float16", "complex64".
std::optional<ElementType> element_type(const std::string& name);

// Components are what is generated and summed: a complex number has two.
size_t components_of(ElementType type);

// How one component is laid out. `exact` is the largest whole number up to which all are
// represented, `precision` the bits of the significand (0 for whole numbers).
template <typename Storage>
struct WholeCodec {
  using Bits = Storage;
  static constexpr int precision = 0;
  static constexpr int64_t exact = std::is_same_v<Storage, uint64_t>
                                       ? std::numeric_limits<int64_t>::max()
                                       : static_cast<int64_t>(std::numeric_limits<Storage>::max());
  static constexpr bool has_sign = std::is_signed_v<Storage>;
  static Bits encode(double value) { return encode(static_cast<int64_t>(value)); }
  static Bits encode(int64_t value) { return static_cast<Bits>(value); }
  static double decode(Bits bits) { return static_cast<double>(bits); }
};

struct BoolCodec {
  using Bits = uint8_t;
  static constexpr int precision = 0;
  static constexpr int64_t exact = 1;
  static constexpr bool has_sign = false;
  static Bits encode(double value) { return value != 0; }
  static Bits encode(int64_t value) { return value != 0; }
  static double decode(Bits bits) { return bits; }
};

template <typename Storage>
struct FloatCodec {
  using Bits = Storage;
  static constexpr int precision = std::numeric_limits<Storage>::digits;
  static constexpr int64_t exact = int64_t{1} << precision;
  static constexpr bool has_sign = true;
  template <typename Value>
  static Bits encode(Value value) {
    return static_cast<Bits>(value);
  }
  static double decode(Bits bits) { return bits; }
};

// The encoders take only values that the format represents exactly, and neither subnormal nor
// infinite ones: the generator makes no others.
struct Float16Codec {
  using Bits = uint16_t;
  static constexpr int precision = 11;
  static constexpr int64_t exact = 2048;
  static constexpr bool has_sign = true;
  template <typename Value>
  static Bits encode(Value value) {
    if (value == 0) return 0;
    const uint32_t wide = std::bit_cast<uint32_t>(static_cast<float>(value));
    const uint32_t exponent = (wide >> 23 & 0xff) - 127 + 15;
    return static_cast<Bits>(wide >> 16 & 0x8000u) |
           static_cast<Bits>(exponent << 10 | (wide >> 13 & 0x3ff));
  }
  static double decode(Bits bits) {
    const double sign = (bits & 0x8000) != 0 ? -1 : 1;
    const int exponent = bits >> 10 & 0x1f;
    const int fraction = bits & 0x3ff;
    if (exponent == 0) return sign * std::ldexp(fraction, -24);
    if (exponent < 31) return sign * std::ldexp(fraction + 1024, exponent - 25);
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
};

struct BFloat16Codec {
  using Bits = uint16_t;
  static constexpr int precision = 8;
  static constexpr int64_t exact = 256;
  static constexpr bool has_sign = true;
  template <typename Value>
  static Bits encode(Value value) {
    return static_cast<Bits>(std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16);
  }
  static double decode(Bits bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

// Calls `use` with the codec of the type's components.
template <typename Use>
decltype(auto) with_codec(ElementType type, Use&& use) {
  switch (type) {
    case ElementType::bool8:
      return use(BoolCodec{});
    case ElementType::int8:
      return use(WholeCodec<int8_t>{});
    case ElementType::int16:
      return use(WholeCodec<int16_t>{});
    case ElementType::int32:
      return use(WholeCodec<int32_t>{});
    case ElementType::int64:
      return use(WholeCodec<int64_t>{});
    case ElementType::uint8:
      return use(WholeCodec<uint8_t>{});
    case ElementType::uint16:
      return use(WholeCodec<uint16_t>{});
    case ElementType::uint32:
      return use(WholeCodec<uint32_t>{});
    case ElementType::uint64:
      return use(WholeCodec<uint64_t>{});
    case ElementType::float16:
      return use(Float16Codec{});
    case ElementType::bfloat16:
      return use(BFloat16Codec{});
    case ElementType::float64:
      return use(FloatCodec<double>{});
    case ElementType::float32:
    case ElementType::complex64:
      break;
  }
  return use(FloatCodec<float>{});
}

size_t element_bytes(ElementType type);

}  // namespace railyard::rank
