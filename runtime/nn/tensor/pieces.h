// A rank's share of an axis.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "railyard/group.h"
#include "railyard/nn/shard.h"

namespace railyard::nn {

struct Piece {
  int64_t begin = 0, end = 0;
};

// The share of the group's rank in each segment of an axis. Throws, naming `what`, unless every
// rank's share of every segment is the same whole number of `unit`s.
std::vector<Piece> pieces_of(int64_t extent, const Segments& segments, const Group& group,
                             int64_t unit, const std::string& what);

// The same share of an axis on which `from` elements take up `to` (packed words, groups).
std::vector<Piece> scaled(std::vector<Piece> pieces, int64_t from, int64_t to);

// These pieces of an axis, one after the other.
Array take(const Array& array, int axis, const std::vector<Piece>& pieces);

}  // namespace railyard::nn
