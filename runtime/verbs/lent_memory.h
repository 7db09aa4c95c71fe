// The caller's own buffers while an operation works on them: large messages are sent from and
// received into them without a copy.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>

#include "verbs/memory_region.h"

namespace railyard {

// Of one device.
class LentMemory {
 public:
  explicit LentMemory(std::shared_ptr<Device> device) : device_(std::move(device)) {}

  // Registers a buffer until take_back(), unless the device refuses: then its messages go through
  // the slab.
  void lend(std::byte* data, size_t bytes);
  void take_back();

  // The key for these bytes if they lie in a buffer that is lent.
  std::optional<uint32_t> key(const std::byte* data, size_t bytes) const;

 private:
  // Input, output and an algorithm's own.
  static constexpr size_t kMost = 3;

  struct Loan {
    const std::byte* data = nullptr;
    size_t bytes = 0;
    std::optional<MemoryRegion> region;
  };

  std::shared_ptr<Device> device_;
  std::array<Loan, kMost> loans_;
  size_t count_ = 0;
};

}  // namespace railyard
