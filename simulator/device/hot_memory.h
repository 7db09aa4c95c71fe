// Finds the blocks of a program's memory that large payloads are copied from or to again and again,
// so that something can be done to make that faster: see Attachment::mend_hot_memory().
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace railyard::sim {

// Threads may race here: a block that is counted wrongly or forgotten is merely slower.
class HotMemory {
 public:
  // Blocks of so many bytes; 0: nothing is worth anything. `worth`: copies of a whole block before
  // something is done about it, which takes as long as these gain.
  HotMemory(uint64_t block_bytes, int64_t worth) : block_bytes_(block_bytes), worth_(worth) {}

  // These bytes are about to be copied, or to be overwritten by a copy; whether a block has become
  // worth it, and for_each_wanted() should be called by somebody who has the time.
  bool note(const void* data, uint64_t bytes);
  // What is known of blocks that lie there, even in part, counts no more.
  void forget(const void* data, uint64_t bytes);
  // Calls `mend` with the address of each block that is worth it.
  template <typename Mend>
  void for_each_wanted(Mend mend) {
    for (auto& place : wanted_) {
      if (uintptr_t block = place.exchange(0, std::memory_order_acquire)) mend(block);
    }
  }

 private:
  static constexpr size_t kBlocks = 256, kMostWanted = 16;
  // It is tried again after twice as many copies each time, until that is so many: a page that a
  // peer is just copying is not merged, and the memory may have been given back and taken anew.
  static constexpr int64_t kAgain = 256;

  struct Block {
    std::atomic<uintptr_t> address{0};
    std::atomic<int64_t> bytes_left{0};  // until it is worth it
    std::atomic<int64_t> pause{0};       // copies from the time before to that
  };

  // False: there are too many already; the block's next copy asks again.
  bool want(uintptr_t block);

  const uint64_t block_bytes_;
  const int64_t worth_;
  std::array<Block, kBlocks> blocks_;
  std::array<std::atomic<uintptr_t>, kMostWanted> wanted_{};
};

}  // namespace railyard::sim
