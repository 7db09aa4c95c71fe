#include "device/peer_memory.h"

#include <algorithm>

namespace railyard::sim {

Reaching::Reaching(layout::Shared<uint64_t>& word, const layout::Process& there) : word_(word) {
  word_.store(word_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  allowed_ = there.moving_pages.load(std::memory_order_acquire) == 0;
}

Reaching::~Reaching() {
  word_.store(word_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

bool find_shared(const fabric::Segment& segment, const layout::Process& process,
                 const Pieces& there, Pieces& out) {
  uint64_t offset = process.shared_pages.load(std::memory_order_acquire);
  // What a dead process had is given back as soon as that is known.
  if (offset == 0 ||
      layout::state_of(process.state.load(std::memory_order_acquire)) != layout::kLive)
    return false;
  const auto* entries = reinterpret_cast<const layout::SharedPages*>(segment.bytes_at(offset));
  for (size_t i = 0; i < there.count(); ++i) {
    auto at = reinterpret_cast<uint64_t>(there.data()[i].iov_base);
    for (uint64_t left = there.data()[i].iov_len; left > 0;) {
      const layout::SharedPages* found =
          std::find_if(entries, entries + layout::kMostShared, [at](const auto& entry) {
            return at >= entry.address && at - entry.address < entry.bytes;
          });
      if (found == entries + layout::kMostShared || out.count() == kMaxPieces) return false;
      uint64_t into = at - found->address, here = std::min(left, found->bytes - into);
      out.add(segment.bytes_at(found->offset + into), here);
      at += here;
      left -= here;
    }
  }
  return true;
}

}  // namespace railyard::sim
