#include "verbs/slab.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "verbs/library.h"
#include "verbs/verb_error.h"

namespace railyard {

Slab::Slab(std::shared_ptr<Device> device, size_t bytes) : device_(std::move(device)) {
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  bytes_ = (bytes + page - 1) / page * page;
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw verb_error(ErrorCode::limit_reached, "mmap", errno, {device_->name()},
                     fmt::format("{} bytes of message memory were asked for", bytes_));
  }
  data_ = static_cast<std::byte*>(memory);
  errno = 0;
  region_ = library().reg_mr(device_->domain(), data_, bytes_, IBV_ACCESS_LOCAL_WRITE);
  if (region_) return;
  int error_number = errno;
  munmap(data_, bytes_);
  bool limit = error_number == ENOMEM || error_number == EBUSY;
  Error error =
      verb_error(limit ? ErrorCode::limit_reached : ErrorCode::device, "ibv_reg_mr", error_number,
                 {device_->name()}, fmt::format("for {} bytes of message memory", bytes_));
  error.limit = "memory regions of the device";
  error.asked = 1;
  throw error;
}

Slab::~Slab() {
  library().dereg_mr(region_);
  munmap(data_, bytes_);
}

}  // namespace railyard
