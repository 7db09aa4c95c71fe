#include "railyard-rank/element.h"

#include <array>

namespace railyard::rank {

std::optional<ElementType> element_type(const std::string& name) {
  static constexpr std::array kNames = {
      "bool",   "int8",   "int16",   "int32",    "int64",   "uint8",   "uint16",
      "uint32", "uint64", "float16", "bfloat16", "float32", "float64", "complex64",
  };
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<ElementType>(i);
  }
  return std::nullopt;
}

size_t components_of(ElementType type) { return type == ElementType::complex64 ? 2 : 1; }

size_t element_bytes(ElementType type) {
  return components_of(type) *
         with_codec(type, [](auto codec) { return sizeof(typename decltype(codec)::Bits); });
}

}  // namespace railyard::rank
