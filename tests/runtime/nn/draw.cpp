#include "draw.h"

#include <fmt/format.h>

#include <cmath>
#include <random>
#include <vector>

#include "../operations.h"

namespace railyard::test {
namespace {

void compare_kind(const std::string& what, const nn::Array& got, const nn::Array& wanted) {
  if (got.shape() == wanted.shape() && got.dtype() == wanted.dtype()) return;
  throw WrongData(fmt::format("{}: {} of {}, wanted {} of {}", what, nn::text_of(got.shape()),
                              name(got.dtype()), nn::text_of(wanted.shape()),
                              name(wanted.dtype())));
}

}  // namespace

nn::Array draw(const nn::Shape& shape, Dtype dtype, unsigned seed, Numbers numbers) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<size_t>(nn::Array(shape, dtype).count()));
  for (float& value : values) {
    const auto bits = static_cast<uint32_t>(random());
    value = numbers == Numbers::whole ? static_cast<float>(bits % 3) - 1
                                      : static_cast<float>(bits >> 7) * 0x1p-24f - 1;
  }
  return {shape, dtype, values};
}

nn::Array magnitude(const nn::Array& array) {
  std::vector<float> values = array.values();
  for (float& value : values) value = std::abs(value);
  return {array.shape(), Dtype::Float32, values};
}

double rounding(Dtype dtype) {
  return dtype == Dtype::Float32 ? 0x1p-24 : dtype == Dtype::Float16 ? 0x1p-11 : 0x1p-8;
}

void compare(const std::string& what, const nn::Array& got, const nn::Array& wanted) {
  compare_kind(what, got, wanted);
  const std::vector<float> left = got.values(), right = wanted.values();
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i] == right[i]) continue;
    throw WrongData(fmt::format("{}: element {} is {}, wanted {}", what, i, left[i], right[i]));
  }
}

void compare(const std::string& what, const nn::Array& got, const nn::Array& wanted,
             const nn::Array& allowed, double units) {
  compare_kind(what, got, wanted);
  const std::vector<float> left = got.values(), right = wanted.values(), most = allowed.values();
  for (size_t i = 0; i < left.size(); ++i) {
    const double off = std::abs(double{left[i]} - double{right[i]}), limit = most[i] * units;
    if (off <= limit) continue;  // not for what is not a number
    throw WrongData(fmt::format("{}: element {} is {}, wanted {} within {}", what, i, left[i],
                                right[i], limit));
  }
}

}  // namespace railyard::test
