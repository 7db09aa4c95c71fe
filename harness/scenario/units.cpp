#include "scenario/units.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <span>

namespace railyard::harness {

namespace {

struct Unit {
  const char* name;
  double factor;
};

constexpr Unit kDurations[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 60e9}};
constexpr Unit kBytes[] = {
    {"B", 1},    {"KiB", 1024}, {"MiB", 1024. * 1024}, {"GiB", 1024. * 1024 * 1024},
    {"kB", 1e3}, {"KB", 1e3},   {"MB", 1e6},           {"GB", 1e9}};
constexpr Unit kRates[] = {{"B/s", 1},       {"kB/s", 1e3},       {"MB/s", 1e6},
                           {"GB/s", 1e9},    {"Mbit/s", 1e6 / 8}, {"Gbit/s", 1e9 / 8},
                           {"KiB/s", 1024.}, {"MiB/s", 1048576.}, {"GiB/s", 1073741824.}};

// Digits with at most one point: what from_chars(double) would read, had every library one.
size_t number_length(const std::string& text) {
  size_t length = 0;
  bool point = false;
  while (length < text.size()) {
    char c = text[length];
    if (c == '.' && !point && length > 0) {
      point = true;
    } else if (c < '0' || c > '9') {
      break;
    }
    ++length;
  }
  return length;
}

double parse(const std::string& text, std::span<const Unit> units, const char* kind,
             const char* example) {
  size_t length = number_length(text);
  if (length == 0) {
    throw UnitError(fmt::format("\"{}\" is not a {}; write it as \"{}\"", text, kind, example));
  }
  double number = 0, scale = 1;
  bool fraction = false;
  for (size_t i = 0; i < length; ++i) {
    if (text[i] == '.') {
      fraction = true;
      continue;
    }
    number = number * 10 + (text[i] - '0');
    if (fraction) scale *= 10;
  }
  number /= scale;
  size_t start = text.find_first_not_of(' ', length);
  std::string unit = start == std::string::npos ? "" : text.substr(start);
  std::string known;
  for (const Unit& candidate : units) {
    if (unit == candidate.name) return number * candidate.factor;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", candidate.name);
  }
  if (unit.empty()) {
    throw UnitError(
        fmt::format("\"{}\" has no unit; write it as \"{}\" ({})", text, example, known));
  }
  throw UnitError(
      fmt::format("\"{}\" has the unknown unit '{}'; use one of {}", text, unit, known));
}

}  // namespace

std::chrono::nanoseconds parse_duration(const std::string& text) {
  double value = parse(text, kDurations, "duration", "20ms");
  if (value > 9e18)
    throw UnitError(fmt::format("\"{}\" is too long; it must be below 292 years", text));
  return std::chrono::nanoseconds(std::llround(value));
}

uint64_t parse_bytes(const std::string& text) {
  double value = parse(text, kBytes, "size", "64KiB");
  if (value != std::floor(value)) {
    throw UnitError(fmt::format("\"{}\" is not a whole number of bytes", text));
  }
  if (value > 9e18) throw UnitError(fmt::format("\"{}\" is too large", text));
  return static_cast<uint64_t>(value);
}

double parse_rate(const std::string& text) { return parse(text, kRates, "rate", "8.9GB/s"); }

std::string format_duration(std::chrono::nanoseconds value) {
  double ns = static_cast<double>(value.count());
  if (std::abs(ns) < 1e3) return fmt::format("{} ns", value.count());
  if (std::abs(ns) < 1e6) return fmt::format("{:.3g} us", ns / 1e3);
  if (std::abs(ns) < 999.5e6) return fmt::format("{:.3g} ms", ns / 1e6);
  return fmt::format("{:.2f} s", ns / 1e9);
}

}  // namespace railyard::harness
