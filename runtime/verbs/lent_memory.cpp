#include "verbs/lent_memory.h"

#include <unistd.h>

#include <cstdint>

#include "railyard/error.h"

namespace railyard {

namespace {

// Thunderbolt devices take whole pages (TN3205), and corrupt what lies beyond 2^32 bytes of a
// region without a word (Mooncake#2017).
constexpr size_t kMostOfThunderbolt = size_t{1} << 32;

struct Pages {
  std::byte* data;
  size_t bytes;
};

Pages pages_of(std::byte* data, size_t bytes) {
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t before = reinterpret_cast<uintptr_t>(data) % page;
  return {data - before, (before + bytes + page - 1) / page * page};
}

}  // namespace

void LentMemory::lend(std::byte* data, size_t bytes) {
  if (count_ == kMost || bytes == 0 || key(data, bytes)) return;
  if (device_->is_thunderbolt()) {
    auto pages = pages_of(data, bytes);
    if (pages.bytes > kMostOfThunderbolt) return;
    data = pages.data;
    bytes = pages.bytes;
  }
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
