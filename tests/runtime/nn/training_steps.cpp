#include <fmt/format.h>

#include <cmath>

#include "../operations.h"
#include "draw.h"
#include "railyard/nn/gradients.h"
#include "steps.h"

namespace railyard::test {
namespace {

using nn::Array;
using nn::Linear;
using nn::Sharding;

// The mean over the ranks, in double.
Array mean_of(const nn::Shape& shape, Dtype dtype, unsigned seed, int ranks, Array& terms) {
  std::vector<double> sums;
  std::vector<float> magnitudes;
  for (int rank = 0; rank < ranks; ++rank) {
    const auto values =
        draw(shape, dtype, seed + static_cast<unsigned>(rank), Numbers::full).values();
    sums.resize(values.size());
    magnitudes.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      sums[i] += values[i];
      magnitudes[i] += std::abs(values[i]) / static_cast<float>(ranks);
    }
  }
  std::vector<float> means;
  for (double sum : sums) means.push_back(static_cast<float>(sum / ranks));
  terms = Array(shape, Dtype::Float32, magnitudes);
  return {shape, dtype, means};
}

// The rows of rank r's part of a batch.
Array rows_of(const Array& batch, const Group& group) { return nn::shard(batch, 0, {}, group); }

struct Model {
  Array up, down;
};

// The gradients of sum(dy * down(up(x))).
Model gradients_of(const nn::LinearLayer& up, const nn::LinearLayer& down, const Array& x,
                   const Array& dy) {
  const nn::LinearGradients last = down.backward(up.forward(x), dy);
  const nn::LinearGradients first = up.backward(x, last.input);
  return {*first.weight, *last.weight};
}

}  // namespace

std::string check_average(Group& group, Dtype dtype, Dtype wire, size_t batch_bytes,
                          const std::vector<int64_t>& counts, bool mixed) {
  std::vector<Array> gradients;
  const auto dtype_of = [&](size_t i) { return mixed && i % 2 == 1 ? Dtype::Float32 : dtype; };
  const auto seed_of = [](size_t i) { return static_cast<unsigned>(100 * (i + 1)); };
  for (size_t i = 0; i < counts.size(); ++i) {
    const unsigned seed = seed_of(i) + static_cast<unsigned>(group.rank());
    gradients.push_back(draw({counts[i]}, dtype_of(i), seed, Numbers::full));
  }
  nn::AverageOptions options;
  options.batch_bytes = batch_bytes;
  options.wire = wire;
  const size_t sums = nn::average_gradients(gradients, group, options);
  if (group.size() > 1 && mixed && sums != counts.size()) {
    throw WrongData(fmt::format("{} sums for {} mixed gradients", sums, counts.size()));
  }
  std::string result;
  for (size_t i = 0; i < counts.size(); ++i) {
    Array terms;
    const Array wanted = mean_of({counts[i]}, dtype_of(i), seed_of(i), group.size(), terms);
    // Every value and every sum rounds on the wire, the mean in its dtype.
    compare(fmt::format("mean {}", i), gradients[i], wanted, terms,
            (group.size() + 1) * rounding(wire) + 2 * rounding(dtype_of(i)));
    result += digest(gradients[i]);
  }
  return result;
}

std::string check_training(Group& group, int64_t rows, int64_t width, int64_t hidden) {
  const Linear up(draw({hidden, width}, Dtype::Float32, 11, Numbers::whole));
  const Linear down(draw({width, hidden}, Dtype::Float32, 12, Numbers::whole));
  const Array x = draw({rows, width}, Dtype::Float32, 13, Numbers::whole);
  const Array dy = draw({rows, width}, Dtype::Float32, 14, Numbers::whole);
  const Model wanted = gradients_of(up, down, x, dy);

  // Tensor-parallel: whole batch, part of the weights.
  const auto up_part = nn::shard_linear(up, Sharding::all_to_sharded, group);
  const auto down_part = nn::shard_linear(down, Sharding::sharded_to_all, group);
  const Model parts = gradients_of(*up_part, *down_part, x, dy);
  compare("tensor-parallel up", parts.up, nn::shard(wanted.up, 0, {}, group));
  compare("tensor-parallel down", parts.down, nn::shard(wanted.down, 1, {}, group));

  // Data-parallel: part of the batch, whole weights. The batch's gradient is a sum, not a mean.
  const Model mine = gradients_of(up, down, rows_of(x, group), rows_of(dy, group));
  nn::Parameters gradients = {{"up.weight", mine.up}, {"down.weight", mine.down}};
  nn::average_gradients(gradients, group);
  const auto scale = static_cast<float>(group.size());
  for (auto& [path, gradient] : gradients) {
    std::vector<float> values = gradient.values();
    for (float& value : values) value *= scale;
    // A mean of three is rounded.
    compare("data-parallel " + path, Array(gradient.shape(), Dtype::Float32, values),
            path[0] == 'u' ? wanted.up : wanted.down,
            magnitude(path[0] == 'u' ? wanted.up : wanted.down), 2 * rounding(Dtype::Float32));
  }
  return digest(gradients["up.weight"]);
}

}  // namespace railyard::test
