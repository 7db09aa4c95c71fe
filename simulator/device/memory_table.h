// The memory regions of one open device, by key.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

struct ibv_pd;

namespace railyard::sim {

struct Region {
  uint32_t key = 0;  // 0: free
  int access = 0;    // enum ibv_access_flags
  const ibv_pd* domain = nullptr;
  uint64_t address = 0;  // as work requests name it
  uint64_t bytes = 0;
  std::byte* base = nullptr;  // where it is
  bool window = false;        // a memory window: bound by requests
  uint64_t sound_bytes = ~uint64_t{0};  // offsets beyond wrap around: a device that corrupts

  bool covers(uint64_t from, uint64_t length) const {
    return from >= address && length <= bytes && from - address <= bytes - length;
  }
  std::byte* at(uint64_t from) const {
    uint64_t offset = from - address;
    if (offset >= sound_bytes) [[unlikely]] offset %= sound_bytes;
    return base + offset;
  }
};

// Not thread-safe: guarded by the context's lock.
class MemoryTable {
 public:
  // Gives the region a key that no living region has, and that was not used lately: a stale key should
  // be found out, not hit another region.
  uint32_t add(Region region) {
    uint32_t index;
    if (free_.size() > kKeptFree) {
      index = free_.front();
      free_.pop_front();
    } else {
      index = static_cast<uint32_t>(regions_.size());
      regions_.emplace_back();
      generations_.push_back(0);
    }
    region.key = (index + 1) << 8 | ++generations_[index];
    regions_[index] = region;
    return region.key;
  }

  // A window keeps its handle while its key changes with each binding, in the lowest byte alone.
  static uint32_t handle_of(uint32_t key) { return key >> 8; }
  Region* find_window(uint32_t handle) {
    if (handle - 1 >= regions_.size()) return nullptr;
    Region& region = regions_[handle - 1];
    return region.key != 0 && region.window ? &region : nullptr;
  }
  void rekey(Region& window, uint32_t key) {
    window.key = key;
    generations_[handle_of(key) - 1] = static_cast<uint8_t>(key);
  }

  // Takes back a window's binding.
  bool invalidate(uint32_t key, const ibv_pd* domain) {
    Region* region = find(key);
    if (!region || !region->window || region->domain != domain) return false;
    region->access = 0;
    region->bytes = 0;
    return true;
  }

  void remove(uint32_t key) {
    if (Region* region = find(key)) {
      *region = {};
      free_.push_back((key >> 8) - 1);
    }
  }

  bool any_of(const ibv_pd* domain) const {
    return std::any_of(regions_.begin(), regions_.end(), [&](const Region& region) {
      return region.key != 0 && region.domain == domain;
    });
  }

  Region* find(uint32_t key) {
    uint32_t index = (key >> 8) - 1;
    return index < regions_.size() && regions_[index].key == key ? &regions_[index] : nullptr;
  }

 private:
  static constexpr size_t kKeptFree = 64;
  std::vector<Region> regions_;
  std::vector<uint8_t> generations_;
  std::deque<uint32_t> free_;
};

}  // namespace railyard::sim
