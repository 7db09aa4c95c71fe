// Numbers and texts in the byte order and layout of the side channel: little endian, 32-bit
// lengths.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace railyard {

class WireWriter {
 public:
  template <typename T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) WireWriter& put(T value) {
    auto bits = static_cast<uint64_t>(value);
    for (size_t i = 0; i < sizeof(T); ++i) bytes_ += static_cast<char>((bits >> (8 * i)) & 0xff);
    return *this;
  }
  WireWriter& put(std::string_view text) {
    put(static_cast<uint32_t>(text.size()));
    bytes_ += text;
    return *this;
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Throws std::out_of_range when the message is shorter than what is read from it.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) T get() {
    std::string_view part = take(sizeof(T));
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
      bits |= static_cast<uint64_t>(static_cast<unsigned char>(part[i])) << (8 * i);
    }
    return static_cast<T>(bits);
  }
  std::string text() { return std::string(take(get<uint32_t>())); }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string_view take(size_t size) {
    if (size > bytes_.size()) throw std::out_of_range("a side-channel message is too short");
    std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return part;
  }

  std::string_view bytes_;
};

}  // namespace railyard
