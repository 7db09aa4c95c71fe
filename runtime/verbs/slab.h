// The one piece of memory that a group keeps registered with a device; its small messages lie in
// it, and the large ones that cannot lie where the caller wants them.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "verbs/memory_region.h"

namespace railyard {

class Slab {
 public:
  // Page-aligned, zero, and registered. Throws Error.
  Slab(const std::shared_ptr<Device>& device, size_t bytes);
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  std::byte* data() const { return data_; }
  uint32_t key() const { return region_->key(); }

 private:
  size_t bytes_ = 0;
  std::byte* data_ = nullptr;
  std::optional<MemoryRegion> region_;
};

}  // namespace railyard
