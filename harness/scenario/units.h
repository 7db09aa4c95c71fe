// Quantities with their units written out: "7ms", "8.9GB/s", "64KiB".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace railyard::harness {

// Thrown with what is wrong and how to mend it, without a place.
class UnitError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "7ms", "1.5s", "20us", "100ns", "2min". Not negative.
std::chrono::nanoseconds parse_duration(const std::string& text);

// "64KiB", "16MiB", "4096B", "2GB". Whole bytes.
uint64_t parse_bytes(const std::string& text);

// "8.9GB/s", "40Gbit/s". Bytes per second.
double parse_rate(const std::string& text);

// For people, three digits: "41.2 ms", "1.50 s".
std::string format_duration(std::chrono::nanoseconds value);
inline std::string format_ns(int64_t value) {
  return format_duration(std::chrono::nanoseconds(value));
}

}  // namespace railyard::harness
