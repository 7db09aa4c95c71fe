// Receives that wait for messages, oldest first.
#pragma once

#include <infiniband/verbs.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>

namespace railyard::sim {

struct Receive {
  uint64_t id;
  uint64_t posted_ticks;  // 0: before all that has not arrived yet
  uint64_t bytes;         // room in all its pieces
  uint32_t units;         // of the queue's depth
  int pieces;
  bool spoiled;  // one too many, on a device that takes those and damages what meets them
};

// Depth is counted in units: a work request each, or (Thunderbolt) a frame each.
class ReceiveQueue {
 public:
  ReceiveQueue(uint32_t depth_units, uint32_t max_pieces)
      : depth_units_(depth_units),
        max_pieces_(max_pieces),
        mask_(std::bit_ceil(depth_units + (depth_units == 0)) - 1),
        entries_(std::make_unique_for_overwrite<Receive[]>(mask_ + 1)),
        pieces_(std::make_unique_for_overwrite<ibv_sge[]>((mask_ + 1) * (max_pieces + 1))) {}

  bool empty() const { return head_ == tail_; }
  uint64_t size() const { return tail_ - head_; }
  bool has_room(uint32_t units) const { return used_units_ + units <= depth_units_; }

  const Receive& front() const { return entries_[head_ & mask_]; }
  const ibv_sge* front_pieces() const { return &pieces_[(head_ & mask_) * (max_pieces_ + 1)]; }

  void push(uint64_t id, uint64_t posted_ticks, uint64_t bytes, uint32_t units,
            const ibv_sge* pieces, int count, bool spoiled = false) {
    if (size() > mask_) [[unlikely]]
      grow();
    uint64_t at = tail_++ & mask_;
    Receive& receive = entries_[at];
    receive.id = id;
    receive.posted_ticks = posted_ticks;
    receive.bytes = bytes;
    receive.units = units;
    receive.pieces = count;
    receive.spoiled = spoiled;
    ibv_sge* kept = &pieces_[at * (max_pieces_ + 1)];
    if (count == 1) [[likely]]
      *kept = *pieces;
    else
      std::copy_n(pieces, count, kept);
    used_units_ += units;
  }
  void pop() {
    used_units_ -= front().units;
    ++head_;
  }
  void clear() {
    head_ = tail_;
    used_units_ = 0;
  }

 private:
  // Only a device that takes more than fits comes here.
  void grow() {
    ReceiveQueue larger(static_cast<uint32_t>(2 * (mask_ + 1)), max_pieces_);
    for (; !empty(); pop()) {
      const Receive& from = front();
      larger.push(from.id, from.posted_ticks, from.bytes, from.units, front_pieces(), from.pieces,
                  from.spoiled);
    }
    larger.depth_units_ = depth_units_;
    *this = std::move(larger);
  }

  uint32_t depth_units_;
  uint32_t max_pieces_;
  uint64_t mask_;
  std::unique_ptr<Receive[]> entries_;
  std::unique_ptr<ibv_sge[]> pieces_;
  uint64_t head_ = 0, tail_ = 0;
  uint32_t used_units_ = 0;
};

}  // namespace railyard::sim
