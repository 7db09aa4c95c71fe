// A memory region or a memory window, as its device knows it.
#pragma once

#include <cstddef>
#include <cstdint>

struct ibv_pd;

namespace railyard::sim {

struct Region {
  uint32_t key = 0;  // 0: free
  int access = 0;    // enum ibv_access_flags
  const ibv_pd* domain = nullptr;
  uint64_t address = 0;  // as work requests name it
  uint64_t bytes = 0;
  std::byte* base = nullptr;            // where it is
  bool window = false;                  // a memory window: bound by requests
  uint64_t sound_bytes = ~uint64_t{0};  // offsets beyond wrap around: a device that corrupts

  // Whether a queue pair of `pair_domain` (nullptr: of any) that lets others do `pair_access` lets
  // them do `wanted` here (InfiniBand specification 10.6.3).
  bool admits(int wanted, unsigned pair_access, const ibv_pd* pair_domain, uint64_t from,
              uint64_t length) const {
    return (!pair_domain || domain == pair_domain) && (access & wanted) &&
           (pair_access & static_cast<unsigned>(wanted)) && covers(from, length);
  }
  bool covers(uint64_t from, uint64_t length) const {
    return from >= address && length <= bytes && from - address <= bytes - length;
  }
  std::byte* at(uint64_t from) const {
    uint64_t offset = from - address;
    if (offset >= sound_bytes) [[unlikely]]
      offset %= sound_bytes;
    return base + offset;
  }
};

}  // namespace railyard::sim
