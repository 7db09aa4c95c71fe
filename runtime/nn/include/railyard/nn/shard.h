// Which part of a weight belongs to which rank.
//
// Nothing here talks to other ranks: a group only says who this rank is among how many.
// Errors: see railyard/nn/array.h.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "railyard/group.h"
#include "railyard/nn/array.h"

namespace railyard::nn {

// How a linear layer is cut. The names say what its input and its output are.
enum class Sharding {
  all_to_sharded,  // every rank has the whole input and computes its part of the output's features
  sharded_to_all,  // every rank has its part of the input's features; the products are summed
};

// The parts of a fused weight, such as the queries, keys and values in one matrix. Each is cut by
// itself, and a rank gets its share of every one of them, side by side.
class Segments {
 public:
  Segments() = default;  // the whole axis is one
  static Segments equal(int count);
  // Where each segment but the first begins: {4096, 5120} for 4096 + 1024 + the rest.
  static Segments at(std::vector<int64_t> begins);
  // The same as fractions of the axis, in (0, 1): also for packed axes. Rounded down.
  static Segments fractions(std::vector<double> begins);

  // 0, where the others begin, and `extent`. Throws when they do not rise or do not fit.
  std::vector<int64_t> boundaries(int64_t extent) const;

 private:
  int equal_ = 1;
  std::vector<int64_t> begins_;
  std::vector<double> fractions_;
};

// This rank's part of `array` along `axis` (negative: from the last). Each segment's extent must be
// divisible by the number of ranks.
Array shard(const Array& array, int axis, const Segments& segments, const Group& group);

// A model's arrays by path: "layers.0.attention.qkv.weight".
using Parameters = std::map<std::string, Array>;

// Where to cut an array; none: every rank keeps all of it.
struct Cut {
  int axis = 0;
  Segments segments;
};
using CutRule = std::function<std::optional<Cut>(const std::string& path, const Array& array)>;

// The rule of a sharding: all_to_sharded cuts the last axis but one, or that of a vector;
// sharded_to_all cuts the last axis, but not arrays whose path ends in "bias".
CutRule rule_of(Sharding sharding, Segments segments = {});

// Replaces every array by this rank's part of it. After an error nothing has changed.
void shard_in_place(Parameters& parameters, const CutRule& rule, const Group& group);
void shard_in_place(Parameters& parameters, Sharding sharding, const Group& group,
                    const Segments& segments = {});

}  // namespace railyard::nn
