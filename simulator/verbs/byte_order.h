// Network byte order for words that the sockets' functions do not cover.
#pragma once

#include <bit>
#include <cstdint>

namespace railyard::sim {

// GUIDs travel so.
constexpr uint64_t network_order(uint64_t value) {
  return std::endian::native == std::endian::big ? value : __builtin_bswap64(value);
}

}  // namespace railyard::sim
