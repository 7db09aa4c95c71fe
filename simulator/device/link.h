// What the way of a message does to it: time, loss, corruption, and the faults that are armed for it.
#pragma once

#include <cstdint>

#include "device/attachment.h"

namespace railyard::sim {

struct Passage {
  uint64_t left_ticks;     // when the sender's memory is free again
  uint64_t arrival_ticks;  // as a slot carries it
  bool lost = false;
  bool corrupted = false;
  bool duplicated = false;
  bool reordered = false;
};

// Passes the links between two ports with a message of so many bytes that is ready at `ticks`.
Passage pass_links(const Attachment& attachment, int32_t from_port, int32_t to_port, uint32_t queue_pair,
                   uint64_t bytes, uint64_t ticks);

// Whether any link is shaped or any message fault armed: else a message arrives when it is sent.
inline bool links_matter(const Segment& segment) {
  return segment.header().gate.load(std::memory_order_relaxed) & layout::kGateLinks;
}

// When what a slot carries has arrived: never before now() for one that is held.
uint64_t arrival_of_held(const Segment& segment, uint64_t arrival_ticks);
inline uint64_t arrival_of(const Segment& segment, uint64_t arrival_ticks) {
  return arrival_ticks & layout::kHeld ? arrival_of_held(segment, arrival_ticks) : arrival_ticks;
}

}  // namespace railyard::sim
