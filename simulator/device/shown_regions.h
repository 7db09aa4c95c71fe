// The memory regions of a context that peers may reach into by themselves, shown in the segment:
// the first kShownRegions of them. Whoever names another goes through its target's process.
#pragma once

#include <cstdint>
#include <optional>

#include "device/region.h"
#include "fabric/segment.h"

namespace railyard::sim {

class Context;

// Guarded by the context's lock.
class ShownRegions {
 public:
  explicit ShownRegions(Context& owner) : owner_(owner) {}

  // A region is in that place of its table from now on.
  void show(uint32_t index, const Region& region);
  // When this returns nobody reaches into it any more. Waits for those who do, who take
  // microseconds unless they are stopped.
  void hide(uint32_t index);
  // Before the context's record is given back.
  void close();

  // What `context` shows under a key. For as long as the caller is reaching.
  static std::optional<Region> find(const fabric::Segment& segment, uint32_t context, uint32_t key);

 private:
  fabric::layout::Region* entry(uint32_t index) const;

  Context& owner_;
};

}  // namespace railyard::sim
