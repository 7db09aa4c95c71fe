// What both ends of a rail over RDMA must know of each other, and how much memory a rail has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "transport/message.h"
#include "verbs/queue_pair.h"

namespace railyard {

// How many messages of which size a rail can have on the way.
struct SlotPlan {
  uint32_t small_slots = 0;
  uint32_t large_slots = 0;
  size_t large_bytes = 0;  // 0: no large messages

  // From one small slot to the next. Not a page: their first lines, which are all of a short
  // message, would share a few places in the processor's cache. But a Thunderbolt device is known
  // to take frames that lie in a page each, as JACCL's do, and of others nobody has said so.
  size_t small_stride = kSmallBytes + 64;

  // Of the small messages that a rail receives, or sends; whole pages.
  size_t small_bytes() const {
    return (small_slots * small_stride + kFrameBytes - 1) / kFrameBytes * kFrameBytes;
  }
  size_t bytes() const { return 2 * (small_bytes() + large_slots * large_bytes); }
  // Fits a process's rails into a few MiB, whatever their number.
  static SlotPlan for_rails(int rails, size_t peers, size_t max_message_bytes, bool thunderbolt);
};

// What a rail tells the other end before they connect.
struct RailAddress {
  std::string device;
  Transport transport = Transport::unreliable;
  QueuePairAddress small, large;
  uint32_t small_slots = 0;
  uint64_t large_bytes = 0;

  std::string pack() const;
  static RailAddress unpack(const std::string& bytes);
};

}  // namespace railyard
