// A 64-bit digest of an operation's results over all its iterations: equal on every rank, or some
// rank computed something else.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace railyard::rank {

class Digest {
 public:
  void add(const void* data, size_t bytes) {
    const auto* bytes_left = static_cast<const unsigned char*>(data);
    for (; bytes >= sizeof(uint64_t); bytes -= sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes_left, sizeof(word));
      bytes_left += sizeof(word);
      absorb(word);
    }
    uint64_t tail = uint64_t{bytes} << 56;  // the length tells "ab" from "ab\0"
    if (bytes > 0) std::memcpy(&tail, bytes_left, bytes);
    absorb(tail);
    used_ = true;
  }

  // 16 hex digits, or empty when nothing was added.
  std::string text() const {
    if (!used_) return {};
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text(16, '0');
    for (int i = 0; i < 16; ++i)
      text[static_cast<size_t>(i)] = kDigits[state_ >> (60 - 4 * i) & 15];
    return text;
  }

 private:
  static_assert(std::endian::native == std::endian::little, "digests are compared across machines");

  void absorb(uint64_t word) {
    state_ = (state_ ^ word) * 0x9fb21c651e98df25u;
    state_ = std::rotl(state_, 29) + 0x9e3779b97f4a7c15u;
    state_ ^= state_ >> 32;
  }

  uint64_t state_ = 0x243f6a8885a308d3u;
  bool used_ = false;
};

}  // namespace railyard::rank
