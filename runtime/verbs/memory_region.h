// Memory that a device may read and write.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <memory>

#include "verbs/device.h"

namespace railyard {

class MemoryRegion {
 public:
  // Registers `bytes` at `data` for local writes only, which is what Thunderbolt devices take.
  // Throws Error.
  MemoryRegion(std::shared_ptr<Device> device, std::byte* data, size_t bytes);
  ~MemoryRegion();
  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;

  uint32_t key() const { return region_->lkey; }

 private:
  std::shared_ptr<Device> device_;
  ibv_mr* region_ = nullptr;
};

}  // namespace railyard
