#include "railyard/nn/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "nn/tensor/check.h"
#include "nn/tensor/pieces.h"

namespace railyard::nn {

Segments Segments::equal(int count) {
  if (count < 1) fail("Segments", fmt::format("{} segments; at least 1 is needed", count));
  Segments segments;
  segments.equal_ = count;
  return segments;
}

Segments Segments::at(std::vector<int64_t> begins) {
  Segments segments;
  segments.begins_ = std::move(begins);
  return segments;
}

Segments Segments::fractions(std::vector<double> begins) {
  for (double fraction : begins) {
    if (!(fraction > 0 && fraction < 1)) {
      fail("Segments", fmt::format("fraction {} does not lie between 0 and 1", fraction));
    }
  }
  Segments segments;
  segments.fractions_ = std::move(begins);
  return segments;
}

std::vector<int64_t> Segments::boundaries(int64_t extent) const {
  std::vector<int64_t> result = {0};
  result.insert(result.end(), begins_.begin(), begins_.end());
  for (double fraction : fractions_) {
    result.push_back(static_cast<int64_t>(std::floor(fraction * static_cast<double>(extent))));
  }
  if (extent % equal_ != 0) {
    fail("Segments", fmt::format("{} equal segments do not divide {}", equal_, extent));
  }
  for (int i = 1; i < equal_; ++i) result.push_back(extent / equal_ * i);
  result.push_back(extent);
  for (size_t i = 0; i + 1 < result.size(); ++i) {
    if (result[i] > result[i + 1]) {
      fail("Segments", fmt::format("segment {} would begin at {} and end at {} of {}", i, result[i],
                                   result[i + 1], extent));
    }
  }
  return result;
}

Array shard(const Array& array, int axis, const Segments& segments, const Group& group) {
  const std::string what = fmt::format("axis {} of shape {}", axis, text_of(array.shape()));
  return take(array, axis, pieces_of(array.extent(axis), segments, group, 1, what));
}

CutRule rule_of(Sharding sharding, Segments segments) {
  if (sharding == Sharding::all_to_sharded) {
    return [segments = std::move(segments)](const std::string&, const Array& array) {
      return std::optional<Cut>({std::max(array.dimensions() - 2, 0), segments});
    };
  }
  return [segments = std::move(segments)](const std::string& path, const Array&) {
    return path.ends_with("bias") ? std::nullopt : std::optional<Cut>({-1, segments});
  };
}

void shard_in_place(Parameters& parameters, const CutRule& rule, const Group& group) {
  Parameters sharded;
  for (const auto& [path, array] : parameters) {
    const std::optional<Cut> cut = rule(path, array);
    if (!cut) continue;
    try {
      sharded.emplace(path, shard(array, cut->axis, cut->segments, group));
    } catch (const Error& error) {
      fail("shard_in_place", fmt::format("{}: {}", path, error.what()));
    }
  }
  for (auto& [path, array] : sharded) parameters[path] = std::move(array);
}

void shard_in_place(Parameters& parameters, Sharding sharding, const Group& group,
                    const Segments& segments) {
  shard_in_place(parameters, rule_of(sharding, segments), group);
}

}  // namespace railyard::nn
