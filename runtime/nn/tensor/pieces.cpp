#include "nn/tensor/pieces.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "nn/tensor/check.h"

namespace railyard::nn {

std::vector<Piece> pieces_of(int64_t extent, const Segments& segments, const Group& group,
                             int64_t unit, const std::string& what) {
  const std::vector<int64_t> boundaries = segments.boundaries(extent);
  const int64_t ranks = group.size();
  std::vector<Piece> pieces;
  for (size_t i = 0; i + 1 < boundaries.size(); ++i) {
    const int64_t length = boundaries[i + 1] - boundaries[i];
    if (length % (ranks * unit) != 0) {
      const std::string segment =
          boundaries.size() == 2 ? std::string() : fmt::format(" in segment {}", i);
      const std::string in_units =
          unit == 1 ? std::string() : fmt::format(" in groups of {}", unit);
      fail("shard", fmt::format("{} of {}{} cannot be shared equally by {} ranks{}", what, length,
                                segment, ranks, in_units));
    }
    const int64_t share = length / ranks;
    const int64_t begin = boundaries[i] + share * group.rank();
    pieces.push_back({begin, begin + share});
  }
  return pieces;
}

std::vector<Piece> scaled(std::vector<Piece> pieces, int64_t from, int64_t to) {
  for (Piece& piece : pieces) {
    piece.begin = piece.begin * to / from;
    piece.end = piece.end * to / from;
  }
  return pieces;
}

Array take(const Array& array, int axis, const std::vector<Piece>& pieces) {
  const auto index = static_cast<size_t>(axis < 0 ? axis + array.dimensions() : axis);
  Shape shape = array.shape();
  shape[index] = 0;
  for (const Piece& piece : pieces) shape[index] += piece.end - piece.begin;

  size_t rows = 1;                             // of the axes before
  size_t step_bytes = size_of(array.dtype());  // of one step along the axis
  for (size_t i = 0; i < index; ++i) rows *= static_cast<size_t>(shape[i]);
  for (size_t i = index + 1; i < shape.size(); ++i) step_bytes *= static_cast<size_t>(shape[i]);
  const size_t row_bytes = static_cast<size_t>(array.extent(axis)) * step_bytes;

  Array result(std::move(shape), array.dtype());
  std::byte* to = result.data();
  for (size_t row = 0; row < rows; ++row) {
    for (const Piece& piece : pieces) {
      const size_t bytes = static_cast<size_t>(piece.end - piece.begin) * step_bytes;
      if (bytes == 0) continue;
      const size_t offset = static_cast<size_t>(piece.begin) * step_bytes;
      std::memcpy(to, array.data() + row * row_bytes + offset, bytes);
      to += bytes;
    }
  }
  return result;
}

}  // namespace railyard::nn
