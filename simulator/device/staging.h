// Room in shared memory for the payloads of a queue pair's messages: a ring, given out and given back in
// the order of the messages.
#pragma once

#include <cstdint>

#include "fabric/segment.h"

namespace railyard::sim {

class Staging {
 public:
  // A message of more bytes does not go through the ring: it is read from its place, or has a block of
  // its own.
  static constexpr uint32_t kLargest = 32 * 1024;

  // Offset of `bytes` in the segment, or 0: no room now, or none at all.
  uint64_t take(const fabric::Segment& segment, uint32_t process, uint32_t bytes) {
    if (bytes > kLargest) return 0;
    if (base_ == 0 && (base_ = segment.allocate(kBytes, process)) == 0) return 0;
    uint64_t padded = (bytes + 63) / 64 * 64;
    uint64_t at = head_ % kBytes;
    if (at + padded > kBytes) at = 0, padded += kBytes - head_ % kBytes;  // a payload lies in one piece
    if (head_ + padded - tail_ > kBytes) return 0;
    head_ += padded;
    return base_ + at;
  }
  // Whether it is time to look for what may be given back.
  bool scarce() const { return head_ - tail_ > kBytes / 4; }
  // Where the ring's head is after the latest take(); give_back() of it frees all up to there.
  uint64_t mark() const { return head_; }
  void give_back(uint64_t mark) { tail_ = mark; }
  void release(const fabric::Segment& segment) {
    if (base_ != 0) segment.release(base_, kBytes);
    *this = {};
  }

 private:
  static constexpr uint64_t kBytes = 256 * 1024;
  uint64_t base_ = 0;
  uint64_t head_ = 0, tail_ = 0;
};

}  // namespace railyard::sim
