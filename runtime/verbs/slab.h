// The one piece of memory that a group registers with a device; all its messages lie in it.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <memory>

#include "verbs/device.h"

namespace railyard {

class Slab {
 public:
  // Page-aligned, zero, and registered for local writes only, which is what Thunderbolt devices
  // take. Throws Error.
  Slab(std::shared_ptr<Device> device, size_t bytes);
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  std::byte* data() const { return data_; }
  uint32_t key() const { return region_->lkey; }

 private:
  std::shared_ptr<Device> device_;
  size_t bytes_ = 0;
  std::byte* data_ = nullptr;
  ibv_mr* region_ = nullptr;
};

}  // namespace railyard
