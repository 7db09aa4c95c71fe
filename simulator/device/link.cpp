#include "device/link.h"

#include <algorithm>

#include "fabric/topology.h"

namespace railyard::sim {

namespace {

// Different draws for different questions about one message.
enum Salt : uint64_t { kLoss = 1, kCorruption, kDuplication, kReordering };

// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
uint32_t draw(uint64_t seed, uint64_t message, Salt salt) {
  uint64_t x = seed * 4 + salt + message * 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return static_cast<uint32_t>((x ^ x >> 31) >> 32);
}

bool happens(const layout::Link& link, const layout::Shared<uint32_t>& chance, uint64_t message, Salt salt,
             layout::Shared<uint64_t>& count) {
  uint32_t limit = chance.load(std::memory_order_relaxed);
  if (limit == 0 || draw(link.seed.load(std::memory_order_relaxed), message, salt) >= limit) return false;
  count.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// When the last byte has left, given that the link sends one message after the other.
uint64_t serialize(layout::Link& link, uint64_t bytes, uint64_t ready) {
  double per_byte = link.ticks_per_byte.load(std::memory_order_relaxed);
  // An acknowledgement, which is to go in the future, slips in between the packets that go before.
  if (per_byte == 0 || bytes == 0) return ready;
  auto takes = static_cast<uint64_t>(per_byte * static_cast<double>(bytes));
  uint64_t busy = link.busy_until.load(std::memory_order_relaxed);
  uint64_t left;
  do {
    left = std::max(busy, ready) + takes;
  } while (!link.busy_until.compare_exchange_weak(busy, left, std::memory_order_relaxed));
  return left;
}

void apply_faults(const Attachment& attachment, const fabric::Hop& hop, uint32_t queue_pair,
                  Passage& passage) {
  const Segment& segment = attachment.segment();
  for (uint32_t i = 0; i < layout::kMaxFaults; ++i) {
    layout::Fault& fault = segment.fault(i);
    if (fault.armed.load(std::memory_order_acquire) == 0 || fault.kind != layout::FaultKind::message) continue;
    if (fault.cable != static_cast<int32_t>(hop.cable)) continue;
    if (fault.from_end >= 0 && fault.from_end != hop.from_end) continue;
    uint64_t number = fault.seen.fetch_add(1) + 1;
    if (number < fault.nth || number - fault.nth >= fault.times) continue;
    fault.process.store(static_cast<int32_t>(attachment.process()));
    fault.queue_pair.store(queue_pair);
    uint64_t never = 0;
    fault.first_ticks.compare_exchange_strong(never, segment.now_ticks());
    fault.fired.fetch_add(1);
    switch (fault.action) {
      case layout::FaultAction::drop: passage.lost = true; break;
      case layout::FaultAction::corrupt: passage.corrupted = true; break;
      case layout::FaultAction::duplicate: passage.duplicated = true; break;
      case layout::FaultAction::delay:
        // What another fault holds stays held.
        if (passage.arrival_ticks & layout::kHeld) break;
        passage.arrival_ticks += segment.ticks_in_ns(static_cast<double>(fault.delay_ns));
        break;
      default: passage.arrival_ticks = layout::kHeld | i;
    }
  }
}

}  // namespace

Passage pass_links(const Attachment& attachment, int32_t from_port, int32_t to_port, uint32_t queue_pair,
                   uint64_t bytes, uint64_t ticks) {
  const Segment& segment = attachment.segment();
  fabric::Hop hops[2];
  int count = hops_between(segment, from_port, to_port, hops);
  Passage passage{ticks, ticks};
  uint64_t latency = 0;
  for (int i = 0; i < count; ++i) {
    layout::Link& link = segment.cable(hops[i].cable).links[hops[i].from_end];
    uint64_t message = link.messages.fetch_add(1, std::memory_order_relaxed);
    if (link.shaped.load(std::memory_order_acquire) == 0) continue;
    // A switch passes on what it has of a message: the slower link decides.
    passage.arrival_ticks = std::max(passage.arrival_ticks, serialize(link, bytes, ticks));
    if (i == 0) passage.left_ticks = passage.arrival_ticks;
    latency += link.latency_ticks.load(std::memory_order_relaxed);
    passage.lost |= happens(link, link.loss, message, kLoss, link.lost);
    passage.corrupted |= happens(link, link.corruption, message, kCorruption, link.corrupted);
    passage.duplicated |= happens(link, link.duplication, message, kDuplication, link.duplicated);
    passage.reordered |= happens(link, link.reordering, message, kReordering, link.reordered);
  }
  passage.arrival_ticks += latency;
  if (segment.header().gate.load(std::memory_order_relaxed) & layout::kGateFaults) {
    for (int i = 0; i < count; ++i) apply_faults(attachment, hops[i], queue_pair, passage);
  }
  return passage;
}

uint64_t arrival_of_held(const Segment& segment, uint64_t arrival_ticks) {
  uint64_t released =
      segment.fault(static_cast<uint32_t>(arrival_ticks & ~layout::kHeld) % layout::kMaxFaults)
          .released_ticks.load(std::memory_order_acquire);
  return released != 0 ? released : ~uint64_t{0};
}

}  // namespace railyard::sim
