// Room in shared memory for the payloads of a queue pair's messages: a ring, given out and given back in
// the order of the messages.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "fabric/segment.h"

namespace railyard::sim {

class Staging {
 public:
  // A message of more bytes does not go through the ring: it is read from its place, or has a block of
  // its own. Two ranks sum 32 KiB as fast either way, eight on two cores sum 1 MiB in such pieces twice
  // as fast where they are read from their place.
  static constexpr uint32_t kLargest = 16 * 1024;

  bool has_room(uint32_t bytes) const { return base_ == 0 || end_of(bytes) - tail_ <= size_; }

  // Offset of `bytes` in the segment, or 0: no room now, or none at all. How large the ring is
  // follows from how many queue pairs its device has when it is first needed: a rank that is
  // connected to many others shall not take much for each.
  uint64_t take(const fabric::Segment& segment, uint32_t process, size_t queue_pairs,
                uint32_t bytes) {
    if (bytes > kLargest) return 0;
    if (base_ == 0) {
      size_ = std::clamp<uint64_t>(kOfAll / std::bit_ceil(queue_pairs), 2 * kLargest, kMost);
      if ((base_ = segment.allocate(size_, process)) == 0) return 0;
    }
    if (!has_room(bytes)) return 0;
    head_ = end_of(bytes);
    return base_ + (head_ - padded(bytes)) % size_;
  }
  // Whether it is time to look for what may be given back.
  bool scarce() const { return head_ - tail_ > size_ / 4; }
  // Where the ring's head is after the latest take(); give_back() of it frees all up to there.
  uint64_t mark() const { return head_; }
  void give_back(uint64_t mark) { tail_ = mark; }
  void release(const fabric::Segment& segment) {
    if (base_ != 0) segment.release(base_, size_);
    *this = {};
  }

 private:
  static constexpr uint64_t kMost = 256 * 1024, kOfAll = 4 * 1024 * 1024;

  static uint64_t padded(uint32_t bytes) { return (bytes + uint64_t{63}) / 64 * 64; }
  // Where the head is after a payload of so many bytes, which lies in one piece.
  uint64_t end_of(uint32_t bytes) const {
    uint64_t at = head_ % size_, left = size_ - at;
    return head_ + padded(bytes) + (padded(bytes) > left ? left : 0);
  }

  uint64_t base_ = 0, size_ = 0;
  uint64_t head_ = 0, tail_ = 0;
};

}  // namespace railyard::sim
