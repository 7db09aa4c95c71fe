#include "verbs/lent_memory.h"

#include "railyard/error.h"

namespace railyard {

void LentMemory::lend(std::byte* data, size_t bytes) {
  // Thunderbolt devices have few regions, and a copy is faster than their cables.
  if (device_->is_thunderbolt() || count_ == kMost || bytes == 0 || key(data, bytes)) return;
  try {
    loans_[count_].region.emplace(device_, data, bytes);
  } catch (const Error&) {
    return;
  }
  loans_[count_].data = data;
  loans_[count_].bytes = bytes;
  ++count_;
}

void LentMemory::take_back() {
  while (count_ > 0) loans_[--count_].region.reset();
}

std::optional<uint32_t> LentMemory::key(const std::byte* data, size_t bytes) const {
  for (size_t i = 0; i < count_; ++i) {
    const Loan& loan = loans_[i];
    if (data >= loan.data && data + bytes <= loan.data + loan.bytes) return loan.region->key();
  }
  return std::nullopt;
}

}  // namespace railyard
