#include "verbs/slab.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "verbs/verb_error.h"

namespace railyard {

Slab::Slab(const std::shared_ptr<Device>& device, size_t bytes) {
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  bytes_ = (bytes + page - 1) / page * page;
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw verb_error(ErrorCode::limit_reached, "mmap", errno, {device->name()},
                     fmt::format("{} bytes of message memory were asked for", bytes_));
  }
  data_ = static_cast<std::byte*>(memory);
  try {
    region_.emplace(device, data_, bytes_);
  } catch (...) {
    munmap(data_, bytes_);
    throw;
  }
}

Slab::~Slab() {
  region_.reset();
  munmap(data_, bytes_);
}

}  // namespace railyard
