// Finds the blocks of a program's memory that large payloads are copied from or to again and again,
// and has each laid in one large page: with both ends so, a copy takes a third of the time.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace railyard::sim {

// Threads may race here: a block that is counted wrongly or forgotten is merely slower.
class HotMemory {
 public:
  HotMemory();

  // These bytes are about to be copied, or to be overwritten by a copy; whether a block has become
  // worth merging, and merge() should be called by somebody who has the time.
  bool note(const void* data, uint64_t bytes);
  // Merges the blocks that are worth it.
  void merge();

 private:
  static constexpr size_t kBlocks = 256, kMostWanted = 16;
  // Copies of a whole block before it is merged, which takes as long as these gain. It is tried
  // again after twice as many each time, until that is so many: a page that a peer is just copying
  // is not merged, and the memory may have been given back and taken anew.
  static constexpr int64_t kWorthIt = 4, kAgain = 256;

  struct Block {
    std::atomic<uintptr_t> address{0};
    std::atomic<int64_t> bytes_left{0};  // until it is merged
    std::atomic<int64_t> pause{0};       // copies from the try before to that
  };

  // False: there are too many already; the block's next copy asks again.
  bool want(uintptr_t block);

  const uint64_t block_bytes_;  // 0: nothing can be merged
  std::array<Block, kBlocks> blocks_;
  std::array<std::atomic<uintptr_t>, kMostWanted> wanted_{};
};

}  // namespace railyard::sim
