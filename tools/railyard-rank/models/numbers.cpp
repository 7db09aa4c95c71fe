#include "railyard-rank/models/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace railyard::rank {
namespace {

constexpr uint32_t kWeightIteration = 0x80000000u;  // no workload has so many
constexpr double kSmallest = 1e-12;                 // a row of zeros stays one

int64_t rows_of(const nn::Array& x) { return x.extent(-1) == 0 ? 0 : x.count() / x.extent(-1); }

std::vector<float> drawn(Draw draw, int rank, int64_t count) {
  draw.rounded = true;
  std::vector<float> values(static_cast<size_t>(count));
  fill_input(draw, ElementType::float32, rank, values.size(), values.data());
  return values;
}

}  // namespace

Dtype dtype_of(const std::string& name) { return static_cast<Dtype>(*element_type(name)); }

nn::Array draw_weight(const Draw& draw, uint32_t index, int64_t out, int64_t in, Dtype dtype) {
  Draw weight = draw;
  weight.iteration = kWeightIteration + index;
  std::vector<float> values = drawn(weight, 0, out * in);
  // The numbers drawn have a root mean square of about a third.
  const float scale = 3 / std::sqrt(static_cast<float>(in));
  for (float& value : values) value *= scale;
  return {nn::Shape{out, in}, dtype, values};
}

nn::Array draw_activations(const Draw& draw, int rank, int64_t rows, int64_t width, Dtype dtype) {
  const nn::Shape shape = {rows, width};
  return normalized({shape, dtype, drawn(draw, rank, rows * width)});
}

nn::Array normalized(const nn::Array& x) {
  std::vector<float> values = x.values();
  const auto width = static_cast<size_t>(x.extent(-1));
  for (int64_t row = 0; row < rows_of(x); ++row) {
    float* const begin = values.data() + static_cast<size_t>(row) * width;
    double squares = 0;
    for (size_t i = 0; i < width; ++i) squares += double{begin[i]} * begin[i];
    const auto scale =
        static_cast<float>(1 / std::sqrt(squares / static_cast<double>(width) + kSmallest));
    for (size_t i = 0; i < width; ++i) begin[i] *= scale;
  }
  return {x.shape(), x.dtype(), values};
}

nn::Array plus(const nn::Array& a, const nn::Array& b) {
  std::vector<float> values = a.values();
  const std::vector<float> added = b.values();
  for (size_t i = 0; i < values.size(); ++i) values[i] += added[i];
  return {a.shape(), a.dtype(), values};
}

double tolerance(int64_t terms, Dtype dtype, int roundings) {
  const int precision = dtype == Dtype::Float32 ? 24 : dtype == Dtype::Float16 ? 11 : 8;
  return std::ldexp(static_cast<double>(terms), -24) + std::ldexp(2.0 * roundings, -precision);
}

std::optional<worker::Mismatch> compare(const nn::Array& got, const nn::Array& wanted,
                                        double tolerance, uint32_t iteration,
                                        const std::string& where) {
  const std::vector<float> left = got.values(), right = wanted.values();
  double largest = 0;
  for (float value : right) largest = std::max(largest, double{std::abs(value)});
  const double limit = tolerance * largest;
  for (size_t i = 0; i < right.size(); ++i) {
    const double off = i < left.size() ? std::abs(double{left[i]} - double{right[i]}) : NAN;
    if (off <= limit) continue;  // not for what is not a number
    worker::Mismatch mismatch;
    mismatch.iteration = iteration;
    mismatch.index = i;
    mismatch.got = i < left.size() ? fmt::format("{}", left[i]) : "nothing";
    mismatch.expected = fmt::format("{} within {:.2g} in {}", right[i], limit, where);
    return mismatch;
  }
  return std::nullopt;
}

}  // namespace railyard::rank
