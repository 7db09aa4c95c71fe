#include "verbs/memory_region.h"

#include <fmt/format.h>

#include <cerrno>

#include "verbs/library.h"
#include "verbs/verb_error.h"

namespace railyard {

MemoryRegion::MemoryRegion(std::shared_ptr<Device> device, std::byte* data, size_t bytes)
    : device_(std::move(device)) {
  errno = 0;
  region_ = library().reg_mr(device_->domain(), data, bytes, IBV_ACCESS_LOCAL_WRITE);
  if (region_) return;
  bool limit = errno == ENOMEM || errno == EBUSY;
  Error error =
      verb_error(limit ? ErrorCode::limit_reached : ErrorCode::device, "ibv_reg_mr", errno,
                 {device_->name()}, fmt::format("for {} bytes of message memory", bytes));
  error.limit = "memory regions of the device";
  error.asked = 1;
  throw error;
}

MemoryRegion::~MemoryRegion() { library().dereg_mr(region_); }

}  // namespace railyard
