#include "device/hot_memory.h"

#include <algorithm>

namespace railyard::sim {

bool HotMemory::note(const void* data, uint64_t bytes) {
  if (block_bytes_ == 0) return false;
  uintptr_t begin = reinterpret_cast<uintptr_t>(data), end = begin + bytes;
  bool found = false;
  for (uintptr_t at = begin / block_bytes_ * block_bytes_; at < end; at += block_bytes_) {
    Block& block = blocks_[at / block_bytes_ % kBlocks];
    if (block.address.load(std::memory_order_relaxed) != at) {
      block.address.store(at, std::memory_order_relaxed);
      block.pause.store(worth_, std::memory_order_relaxed);
      block.bytes_left.store(worth_ * static_cast<int64_t>(block_bytes_),
                             std::memory_order_relaxed);
    }
    uintptr_t past = at + block_bytes_;
    uint64_t copied = std::min(end, past) - std::max(begin, at);
    int64_t left = block.bytes_left.load(std::memory_order_relaxed) - static_cast<int64_t>(copied);
    if (left <= 0 && want(at)) {
      found = true;
      int64_t pause = std::min(2 * block.pause.load(std::memory_order_relaxed), kAgain);
      block.pause.store(pause, std::memory_order_relaxed);
      left = pause * static_cast<int64_t>(block_bytes_);
    }
    block.bytes_left.store(left, std::memory_order_relaxed);
  }
  return found;
}

void HotMemory::forget(const void* data, uint64_t bytes) {
  if (block_bytes_ == 0) return;
  uintptr_t begin = reinterpret_cast<uintptr_t>(data), end = begin + bytes;
  uintptr_t at = begin / block_bytes_ * block_bytes_;
  for (size_t i = 0; i < kBlocks && at < end; ++i, at += block_bytes_) {
    blocks_[at / block_bytes_ % kBlocks].address.store(0, std::memory_order_relaxed);
  }
}

bool HotMemory::want(uintptr_t block) {
  for (auto& place : wanted_) {
    uintptr_t none = 0;
    if (place.compare_exchange_strong(none, block, std::memory_order_release)) return true;
  }
  return false;
}

}  // namespace railyard::sim
