#include "device/shown_regions.h"

#include "device/context.h"
#include "device/queue_pair.h"

namespace railyard::sim {

namespace {

layout::Region* entries(const Segment& segment, const layout::Context& context) {
  uint64_t offset = context.regions.load(std::memory_order_acquire);
  return offset == 0 ? nullptr : reinterpret_cast<layout::Region*>(segment.bytes_at(offset));
}

}  // namespace

layout::Region* ShownRegions::entry(uint32_t index) const {
  if (index >= layout::kShownRegions) return nullptr;
  layout::Region* all = entries(owner_.segment(), owner_.record());
  return all ? all + index : nullptr;
}

void ShownRegions::show(uint32_t index, const Region& region) {
  if (!(region.access & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ))) return;
  if (index >= layout::kShownRegions) return;
  layout::Region* shown = entry(index);
  if (!shown) {
    uint64_t offset = owner_.segment().allocate(layout::kShownRegions * sizeof(layout::Region),
                                                owner_.attachment().process());
    if (offset == 0) return;  // no room: peers go through this process
    owner_.record().regions.store(offset, std::memory_order_release);
    shown = entry(index);
  }
  shown->access = region.access;
  shown->domain = reinterpret_cast<uint64_t>(region.domain);
  shown->address = region.address;
  shown->bytes = region.bytes;
  shown->base = reinterpret_cast<uint64_t>(region.base);
  shown->sound_bytes = region.sound_bytes;
  shown->key.store(region.key, std::memory_order_release);
}

void ShownRegions::hide(uint32_t index) {
  layout::Region* shown = entry(index);
  if (!shown || shown->key.load(std::memory_order_relaxed) == 0) return;
  shown->key.store(0, std::memory_order_relaxed);
  for (const QueuePair* pair : owner_.queue_pairs) pair->await_reaching_peer();
}

void ShownRegions::close() {
  uint64_t offset = owner_.record().regions.exchange(0);
  if (offset == 0) return;
  owner_.segment().release(offset, layout::kShownRegions * sizeof(layout::Region));
}

std::optional<Region> ShownRegions::find(const Segment& segment, uint32_t context, uint32_t key) {
  uint32_t index = MemoryTable::handle_of(key) - 1;
  const layout::Region* all = entries(segment, segment.context(context % layout::kMaxContexts));
  if (!all || index >= layout::kShownRegions) return std::nullopt;
  const layout::Region& shown = all[index];
  if (shown.key.load(std::memory_order_acquire) != key) return std::nullopt;
  Region region;
  region.key = key;
  region.access = shown.access;
  region.domain = reinterpret_cast<const ibv_pd*>(shown.domain);
  region.address = shown.address;
  region.bytes = shown.bytes;
  region.base = reinterpret_cast<std::byte*>(shown.base);
  region.sound_bytes = shown.sound_bytes;
  return region;
}

}  // namespace railyard::sim
