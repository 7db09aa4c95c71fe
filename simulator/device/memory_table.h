// The memory regions of one open device, by key.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "device/shown_regions.h"

namespace railyard::sim {

// Not thread-safe: guarded by the context's lock. What changes or goes is nobody's to reach any
// more when a call returns.
class MemoryTable {
 public:
  explicit MemoryTable(Context& owner) : shown_(owner) {}

  // Gives the region a key that no living region has, and that was not used lately: a stale key
  // should be found out, not hit another region.
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
    shown_.show(index, region);
    return region.key;
  }

  // A window keeps its handle while its key changes with each binding, in the lowest byte alone.
  static uint32_t handle_of(uint32_t key) { return key >> 8; }
  Region* find_window(uint32_t handle) {
    if (handle - 1 >= regions_.size()) return nullptr;
    Region& region = regions_[handle - 1];
    return region.key != 0 && region.window ? &region : nullptr;
  }

  // Makes something else of a region; a new key has the same handle.
  void change(Region& region, const Region& changed) {
    uint32_t index = handle_of(region.key) - 1;
    shown_.hide(index);
    region = changed;
    generations_[index] = static_cast<uint8_t>(changed.key);
    shown_.show(index, region);
  }

  // Takes back a window's binding.
  bool invalidate(uint32_t key, const ibv_pd* domain) {
    Region* region = find(key);
    if (!region || !region->window || region->domain != domain) return false;
    Region unbound = *region;
    unbound.access = 0;
    unbound.bytes = 0;
    change(*region, unbound);
    return true;
  }

  void remove(uint32_t key) {
    if (Region* region = find(key)) {
      shown_.hide(handle_of(key) - 1);
      *region = {};
      free_.push_back(handle_of(key) - 1);
    }
  }

  bool any_of(const ibv_pd* domain) const {
    return std::any_of(regions_.begin(), regions_.end(), [&](const Region& region) {
      return region.key != 0 && region.domain == domain;
    });
  }

  template <typename Look>
  void for_each(Look look) const {
    for (const Region& region : regions_) {
      if (region.key != 0) look(region);
    }
  }

  void close() { shown_.close(); }

  Region* find(uint32_t key) {
    uint32_t index = handle_of(key) - 1;
    return index < regions_.size() && regions_[index].key == key ? &regions_[index] : nullptr;
  }

 private:
  static constexpr size_t kKeptFree = 64;
  std::vector<Region> regions_;
  std::vector<uint8_t> generations_;
  std::deque<uint32_t> free_;
  ShownRegions shown_;
};

}  // namespace railyard::sim
