// Protection domains and memory regions.
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "device/context.h"
#include "fabric/topology.h"
#include "verbs/export.h"
#include "verbs/operations.h"

#undef ibv_reg_mr
#undef ibv_reg_mr_iova

using namespace railyard::sim;

RAILYARD_VERB ibv_pd* ibv_alloc_pd(ibv_context* face) {
  Context& context = Context::from(face);
  if (enter(context, Verb::alloc_pd)) return nullptr;
  if (context.profile().port_down_no_pd &&
      !port_active(context.segment(), static_cast<int32_t>(context.port_index()))) {
    return errno = ENODEV, nullptr;
  }
  if (int error = context.take(Resource::protection_domains)) return errno = error, nullptr;
  auto* domain = new ProtectionDomain{};
  domain->context = face;
  return domain;
}

RAILYARD_VERB int ibv_dealloc_pd(ibv_pd* face) {
  Context& context = Context::from(face->context);
  if (int error = enter(context, Verb::dealloc_pd)) return error;
  {
    std::lock_guard guard(context.lock);
    if (context.domain_in_use(face)) return errno = EBUSY;
  }
  context.give_back(Resource::protection_domains);
  delete static_cast<ProtectionDomain*>(face);
  return 0;
}

namespace {

// What a program asks for with IBV_ACCESS_OPTIONAL_RANGE bits, it can do without.
int access_error(const railyard::fabric::Profile& profile, const void* address, size_t length, int access) {
  int wanted = access & ~static_cast<int>(IBV_ACCESS_OPTIONAL_RANGE);
  if ((wanted & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)) &&
      !(wanted & IBV_ACCESS_LOCAL_WRITE)) {
    return EINVAL;  // ibv_reg_mr(3)
  }
  if (wanted & ~profile.region_access) return profile.region_error;
  if (profile.region_page_aligned &&
      reinterpret_cast<uintptr_t>(address) % static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)) != 0) {
    return profile.region_error;
  }
  if (!profile.region_local_write_alone && wanted == IBV_ACCESS_LOCAL_WRITE) return profile.region_error;
  bool too_long = profile.max_region_bytes != 0 && length > profile.max_region_bytes;
  return too_long && profile.at_region_limit == railyard::fabric::AtLimit::refuse ? profile.region_bytes_error : 0;
}

// How much of a region is where it should be.
uint64_t sound_bytes(const railyard::fabric::Profile& profile) {
  return profile.at_region_limit == railyard::fabric::AtLimit::corrupt ? profile.max_region_bytes : ~uint64_t{0};
}

ibv_mr* register_memory(ibv_pd* domain, void* address, size_t length, uint64_t iova, int access) {
  Context& context = Context::from(domain->context);
  if (enter(context, Verb::reg_mr)) return nullptr;
  if (int error = access_error(context.profile(), address, length, access)) return errno = error, nullptr;
  if (int error = context.take(Resource::memory_regions)) return errno = error, nullptr;
  auto* region = new MemoryRegion{};
  region->context = domain->context;
  region->pd = domain;
  region->addr = address;
  region->length = length;
  std::lock_guard guard(context.lock);
  region->lkey = region->rkey = context.regions.add(
      {.access = access,
       .domain = domain,
       .address = iova,
       .bytes = length,
       .base = static_cast<std::byte*>(address),
       .sound_bytes = sound_bytes(context.profile())});
  region->handle = region->lkey;
  return region;
}

}  // namespace

RAILYARD_VERB ibv_mr* ibv_reg_mr(ibv_pd* domain, void* address, size_t length, int access) {
  return register_memory(domain, address, length, reinterpret_cast<uintptr_t>(address), access);
}

RAILYARD_VERB ibv_mr* ibv_reg_mr_iova(ibv_pd* domain, void* address, size_t length, uint64_t iova,
                                      int access) {
  return register_memory(domain, address, length, iova, access);
}

RAILYARD_VERB ibv_mr* ibv_reg_mr_iova2(ibv_pd* domain, void* address, size_t length, uint64_t iova,
                                       unsigned access) {
  return register_memory(domain, address, length, iova, static_cast<int>(access));
}

RAILYARD_VERB int ibv_dereg_mr(ibv_mr* region) {
  Context& context = Context::from(region->context);
  if (int error = enter(context, Verb::dereg_mr)) return error;
  {
    std::lock_guard guard(context.lock);
    context.regions.remove(region->lkey);
    context.attachment().deregistered(static_cast<std::byte*>(region->addr),
                                                  region->length);
  }
  context.give_back(Resource::memory_regions);
  delete static_cast<MemoryRegion*>(region);
  return 0;
}

// The region keeps its keys: what they stand for changes at once.
RAILYARD_VERB int ibv_rereg_mr(ibv_mr* region, int flags, ibv_pd* domain, void* address, size_t length,
                               int access) {
  Context& context = Context::from(region->context);
  if (enter(context, Verb::rereg_mr)) return IBV_REREG_MR_ERR_CMD;
  constexpr int kKnown =
      IBV_REREG_MR_CHANGE_TRANSLATION | IBV_REREG_MR_CHANGE_PD | IBV_REREG_MR_CHANGE_ACCESS;
  if (flags == 0 || (flags & ~kKnown)) return errno = EINVAL, IBV_REREG_MR_ERR_INPUT;
  std::lock_guard guard(context.lock);
  Region* record = context.regions.find(region->lkey);
  if (!record) return errno = EINVAL, IBV_REREG_MR_ERR_INPUT;
  Region changed = *record;
  if (flags & IBV_REREG_MR_CHANGE_TRANSLATION) {
    changed.base = static_cast<std::byte*>(address);
    changed.address = reinterpret_cast<uintptr_t>(address);
    changed.bytes = length;
  }
  if (flags & IBV_REREG_MR_CHANGE_PD) changed.domain = domain;
  if (flags & IBV_REREG_MR_CHANGE_ACCESS) changed.access = access;
  if (int error = access_error(context.profile(), changed.base, changed.bytes, changed.access)) {
    return errno = error, IBV_REREG_MR_ERR_INPUT;
  }
  context.regions.change(*record, changed);
  if (flags & IBV_REREG_MR_CHANGE_TRANSLATION) {
    context.attachment().deregistered(static_cast<std::byte*>(region->addr),
                                                  region->length);
  }
  region->addr = changed.base;
  region->length = changed.bytes;
  region->pd = const_cast<ibv_pd*>(changed.domain);
  return 0;
}
