// How a message is striped over the wires to a neighbour, and how many receives each wire posts
// before the first chunk has come. The right arithmetic and the one of mlx#3654, side by side.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace railyard::faulty {

// A wire's part of the message: [begin, end) in bytes from the message's start.
struct Region {
  uint64_t begin = 0;
  uint64_t end = 0;

  uint64_t bytes() const { return end - begin; }
  uint64_t chunks(uint64_t frame_bytes) const { return (bytes() + frame_bytes - 1) / frame_bytes; }
};

// Equal parts in whole frames; the last ones may be shorter or empty.
inline std::vector<Region> stripe(uint64_t message_bytes, size_t wires, uint64_t frame_bytes) {
  const uint64_t each = (message_bytes + wires - 1) / wires;
  const uint64_t part = (each + frame_bytes - 1) / frame_bytes * frame_bytes;
  std::vector<Region> regions;
  for (size_t wire = 0; wire < wires; ++wire) {
    regions.push_back(
        {std::min(wire * part, message_bytes), std::min((wire + 1) * part, message_bytes)});
  }
  return regions;
}

enum class PrefillRule {
  region_length,   // right: chunks are counted from the region's begin, so its length is the limit
  absolute_end,    // wrong: the same count against the region's end in the whole message
  whole_pipeline,  // wrong: the offset that is compared does not advance in the loop
};

// Receives to post in advance, at most `pipeline`.
inline uint64_t prefill(const Region& region, uint64_t frame_bytes, uint64_t pipeline,
                        PrefillRule rule) {
  const uint64_t limit = rule == PrefillRule::absolute_end ? region.end : region.bytes();
  if (rule == PrefillRule::whole_pipeline) return limit == 0 ? 0 : pipeline;
  uint64_t posted = 0;
  while (posted < pipeline && posted * frame_bytes < limit) ++posted;
  return posted;
}

}  // namespace railyard::faulty
