#include "naive_sum.h"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace railyard::test {

namespace {

template <typename T>
double load(const std::byte* element) {
  T value;
  std::memcpy(&value, element, sizeof(value));
  return static_cast<double>(value);
}

template <typename T>
void store(double value, std::byte* element) {
  auto exact =
      static_cast<T>(static_cast<std::conditional_t<std::is_integral_v<T>, int64_t, T>>(value));
  std::memcpy(element, &exact, sizeof(exact));
}

// A binary float of 16 bits with so many bits of fraction.
double load_float(uint16_t bits, int fraction_bits) {
  int exponent_bits = 15 - fraction_bits;
  int bias = (1 << (exponent_bits - 1)) - 1;
  int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  double fraction = bits & ((1 << fraction_bits) - 1);
  double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction == 0 ? sign * INFINITY : std::nan("");
  }
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

uint16_t store_float(double value, int fraction_bits) {
  int exponent_bits = 15 - fraction_bits;
  int bias = (1 << (exponent_bits - 1)) - 1;
  int special = ((1 << exponent_bits) - 1) << fraction_bits;
  int sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return static_cast<uint16_t>(special | (1 << (fraction_bits - 1)));
  value = std::fabs(value);
  if (value == 0) return static_cast<uint16_t>(sign);
  int exponent = std::isinf(value) ? bias + 1 : std::max(std::ilogb(value), 1 - bias);
  if (exponent > bias) return static_cast<uint16_t>(sign | special);
  // In units of the last place; a carry moves into the exponent by itself.
  double units = std::nearbyint(std::ldexp(value, fraction_bits - exponent));
  auto bits = static_cast<int>(units) + ((exponent + bias - 1) << fraction_bits);
  return static_cast<uint16_t>(sign | std::min(bits, special));
}

}  // namespace

size_t scalar_bytes(Dtype dtype) { return dtype == Dtype::Complex64 ? 4 : size_of(dtype); }

double to_double(const std::byte* element, Dtype dtype) {
  uint16_t half;
  switch (dtype) {
    case Dtype::Bool:
    case Dtype::UInt8:
      return load<uint8_t>(element);
    case Dtype::Int8:
      return load<int8_t>(element);
    case Dtype::Int16:
      return load<int16_t>(element);
    case Dtype::Int32:
      return load<int32_t>(element);
    case Dtype::Int64:
      return load<int64_t>(element);
    case Dtype::UInt16:
      return load<uint16_t>(element);
    case Dtype::UInt32:
      return load<uint32_t>(element);
    case Dtype::UInt64:
      return load<uint64_t>(element);
    case Dtype::Float16:
    case Dtype::BFloat16:
      std::memcpy(&half, element, sizeof(half));
      return load_float(half, dtype == Dtype::Float16 ? 10 : 7);
    case Dtype::Float32:
    case Dtype::Complex64:
      return load<float>(element);
    case Dtype::Float64:
      return load<double>(element);
  }
  return 0;
}

void from_double(double value, std::byte* element, Dtype dtype) {
  uint16_t half;
  switch (dtype) {
    case Dtype::Bool:
      return store<uint8_t>(value != 0, element);
    case Dtype::Int8:
    case Dtype::UInt8:
      return store<uint8_t>(value, element);
    case Dtype::Int16:
    case Dtype::UInt16:
      return store<uint16_t>(value, element);
    case Dtype::Int32:
    case Dtype::UInt32:
      return store<uint32_t>(value, element);
    case Dtype::Int64:
    case Dtype::UInt64:
      return store<uint64_t>(value, element);
    case Dtype::Float16:
    case Dtype::BFloat16:
      half = store_float(value, dtype == Dtype::Float16 ? 10 : 7);
      std::memcpy(element, &half, sizeof(half));
      return;
    case Dtype::Float32:
    case Dtype::Complex64:
      return store<float>(value, element);
    case Dtype::Float64:
      return store<double>(value, element);
  }
}

std::vector<std::byte> data_of_rank(int rank, unsigned seed, size_t bytes, Dtype dtype,
                                    size_t offset) {
  std::vector<std::byte> data(bytes);
  size_t step = scalar_bytes(dtype), first = offset / step;
  for (size_t i = 0; i < bytes / step; ++i) {
    size_t mixed =
        ((first + i) * 2654435761u + seed * 40503u + static_cast<size_t>(rank) * 97u) >> 3;
    double value = static_cast<double>(mixed % (dtype == Dtype::Bool ? 2 : 7));
    from_double(value, data.data() + i * step, dtype);
  }
  return data;
}

std::vector<std::byte> sum_of_ranks(int ranks, unsigned seed, size_t bytes, Dtype dtype,
                                    size_t offset) {
  std::vector<std::byte> total = data_of_rank(0, seed, bytes, dtype, offset);
  size_t step = scalar_bytes(dtype);
  for (int rank = 1; rank < ranks; ++rank) {
    std::vector<std::byte> data = data_of_rank(rank, seed, bytes, dtype, offset);
    for (size_t at = 0; at + step <= bytes; at += step) {
      double sum = to_double(total.data() + at, dtype) + to_double(data.data() + at, dtype);
      from_double(sum, total.data() + at, dtype);
    }
  }
  return total;
}

}  // namespace railyard::test
