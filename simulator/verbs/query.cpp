// What a device says of itself: attributes, port, addresses.
#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>

#include "device/context.h"
#include "fabric/topology.h"
#include "verbs/byte_order.h"
#include "verbs/export.h"
#include "verbs/operations.h"

#undef ibv_query_port

namespace railyard::sim {

namespace {

constexpr uint32_t kUnlimited = 1 << 24;  // what a device without a limit answers

int shown(const Context& context, Resource resource) {
  fabric::Limit limit = limit_of(context.segment(), context.device_index(), resource);
  return limit.most == fabric::kNothingLeft ? 0 : limit.most != 0 ? limit.most : static_cast<int>(kUnlimited);
}

int shown_queue_pairs(const Context& context) {
  const layout::Device& device = context.segment().device(context.device_index());
  bool lowered = device.limits[static_cast<size_t>(Resource::queue_pairs)].load() != 0;
  int32_t advertised = context.profile().advertised_queue_pairs;
  return advertised != 0 && !lowered ? advertised : shown(context, Resource::queue_pairs);
}

uint64_t shown_region_bytes(const fabric::Profile& profile) {
  if (profile.advertised_region_bytes != 0) return profile.advertised_region_bytes;
  return profile.max_region_bytes != 0 ? profile.max_region_bytes : ~uint64_t{0};
}

ibv_device_attr attributes_of(const Context& context) {
  const fabric::Profile& profile = context.profile();
  uint64_t guid = network_order(context.segment().device(context.device_index()).guid);
  ibv_device_attr out{};
  snprintf(out.fw_ver, sizeof out.fw_ver, "%s", profile.firmware);
  out.node_guid = out.sys_image_guid = guid;
  out.max_mr_size = shown_region_bytes(profile);
  out.page_size_cap = 0xfffffffffffff000;
  out.vendor_id = profile.vendor_id;
  out.vendor_part_id = profile.vendor_part_id;
  out.hw_ver = profile.hardware_version;
  out.max_qp = shown_queue_pairs(context);
  out.max_qp_wr = profile.max_requests;
  out.device_cap_flags = IBV_DEVICE_CURR_QP_STATE_MOD | IBV_DEVICE_PORT_ACTIVE_EVENT |
                         IBV_DEVICE_SYS_IMAGE_GUID | IBV_DEVICE_RC_RNR_NAK_GEN;
  out.max_sge = profile.max_sge;
  out.max_sge_rd = profile.one_sided ? profile.max_sge : 0;
  out.max_cq = shown(context, Resource::completion_queues);
  out.max_cqe = profile.max_completions;
  out.max_mr = shown(context, Resource::memory_regions);
  out.max_pd = shown(context, Resource::protection_domains);
  out.max_qp_rd_atom = out.max_qp_init_rd_atom = profile.max_rd_atomic;
  out.max_res_rd_atom = static_cast<int>(
      std::min<int64_t>(int64_t{profile.max_rd_atomic} * out.max_qp, std::numeric_limits<int>::max()));
  out.atomic_cap = profile.atomics ? IBV_ATOMIC_HCA : IBV_ATOMIC_NONE;
  if (profile.max_shared_receives != 0) {
    out.max_srq = kUnlimited;
    out.max_srq_wr = profile.max_shared_receives;
    out.max_srq_sge = profile.max_sge;
  }
  if (profile.multicast) {
    out.max_mcast_grp = out.max_total_mcast_qp_attach = kUnlimited;
    out.max_mcast_qp_attach = layout::kMaxGroups;
  }
  if (profile.windows) {
    out.max_mw = kUnlimited;
    out.device_cap_flags |= IBV_DEVICE_MEM_WINDOW | IBV_DEVICE_MEM_WINDOW_TYPE_2B;
  }
  if (profile.transports & fabric::kExtendedReliable) out.device_cap_flags |= IBV_DEVICE_XRC;
  out.max_ah = profile.transports & fabric::kDatagram ? kUnlimited : 0;
  out.max_pkeys = 1;
  out.local_ca_ack_delay = 15;
  out.phys_port_cnt = 1;
  return out;
}

// A gigabyte a second and lane, four lanes: InfiniBand's HDR, and nearly Thunderbolt 5's 80 Gb/s.
constexpr uint8_t kWidth4x = 2, kSpeedHdr = 64;
constexpr uint8_t kPhysicalDisabled = 3, kPhysicalLinkUp = 5;

ibv_port_attr port_of(const Context& context) {
  const fabric::Profile& profile = context.profile();
  const Segment& segment = context.segment();
  const layout::Port& port = segment.port(context.port_index());
  bool active = port_active(segment, static_cast<int32_t>(context.port_index()));
  ibv_port_attr out{};
  out.state = active ? IBV_PORT_ACTIVE : IBV_PORT_DOWN;
  out.max_mtu = out.active_mtu = static_cast<ibv_mtu>(profile.mtu);
  out.gid_tbl_len = layout::kGidsPerPort;
  out.max_msg_sz = static_cast<uint32_t>(std::min<uint64_t>(profile.max_message_bytes, UINT32_MAX));
  out.pkey_tbl_len = 1;
  out.lid = port.lid;
  if (profile.link_layer == IBV_LINK_LAYER_INFINIBAND) {
    out.sm_lid = 1;
    out.port_cap_flags = IBV_PORT_SYS_IMAGE_GUID_SUP;
  }
  out.max_vl_num = 1;
  out.active_width = kWidth4x;
  out.active_speed = kSpeedHdr;
  out.phys_state = active ? kPhysicalLinkUp : kPhysicalDisabled;
  out.link_layer = profile.link_layer;
  return out;
}

const layout::Gid* gid_at(const Context& context, uint32_t port_number, uint32_t index) {
  if (port_number != 1 || index >= layout::kGidsPerPort) return nullptr;
  return &context.segment().port(context.port_index()).gids[index];
}

ibv_gid_entry entry_of(const layout::Gid& gid, uint32_t index) {
  ibv_gid_entry entry{};
  memcpy(entry.gid.raw, gid.raw, sizeof gid.raw);
  entry.gid_index = index;
  entry.port_num = 1;
  entry.gid_type = gid.type;
  return entry;
}

}  // namespace

int query_port(ibv_context* face, uint8_t port_number, ibv_port_attr* out, size_t out_bytes) {
  Context& context = Context::from(face);
  if (int error = enter(context, Verb::query_port)) return error;
  if (port_number != 1) return errno = EINVAL;
  ibv_port_attr attributes = port_of(context);
  memcpy(out, &attributes, std::min(out_bytes, sizeof attributes));
  return 0;
}

int query_device_ex(ibv_context* face, const ibv_query_device_ex_input* input,
                    ibv_device_attr_ex* out, size_t out_bytes) {
  Context& context = Context::from(face);
  if (int error = enter(context, Verb::query_device)) return error;
  if (input && input->comp_mask != 0) return errno = EINVAL;
  ibv_device_attr_ex attributes{};
  attributes.orig_attr = attributes_of(context);
  attributes.completion_timestamp_mask = ~uint64_t{0};
  attributes.hca_core_clock = static_cast<uint64_t>(context.segment().header().ticks_per_second / 1000);
  attributes.phys_port_cnt_ex = 1;
  memcpy(out, &attributes, std::min(out_bytes, sizeof attributes));
  return 0;
}

}  // namespace railyard::sim

using namespace railyard::sim;

RAILYARD_VERB int ibv_query_device(ibv_context* face, ibv_device_attr* out) {
  Context& context = Context::from(face);
  if (int error = enter(context, Verb::query_device)) return error;
  *out = attributes_of(context);
  return 0;
}

// The symbol's callers have the structure as it was before `flags` had a successor.
RAILYARD_VERB int ibv_query_port(ibv_context* face, uint8_t port_number, _compat_ibv_port_attr* out) {
  return query_port(face, port_number, reinterpret_cast<ibv_port_attr*>(out),
                    offsetof(ibv_port_attr, port_cap_flags2));
}

RAILYARD_VERB int ibv_query_gid(ibv_context* face, uint8_t port_number, int index, ibv_gid* out) {
  Context& context = Context::from(face);
  if (int error = enter(context, Verb::query_gid)) return errno = error, -1;
  const layout::Gid* gid = gid_at(context, port_number, static_cast<uint32_t>(index));
  if (!gid) return errno = EINVAL, -1;
  memcpy(out->raw, gid->raw, sizeof gid->raw);  // an empty row reads as zeros
  return 0;
}

RAILYARD_VERB int _ibv_query_gid_ex(ibv_context* face, uint32_t port_number, uint32_t index,
                                    ibv_gid_entry* entry, uint32_t flags, size_t entry_bytes) {
  Context& context = Context::from(face);
  if (int error = enter(context, Verb::query_gid)) return error;
  const layout::Gid* gid = gid_at(context, port_number, index);
  if (!gid || flags != 0) return EINVAL;
  if (!gid->present) return ENODATA;
  ibv_gid_entry found = entry_of(*gid, index);
  memcpy(entry, &found, std::min(entry_bytes, sizeof found));
  return 0;
}

RAILYARD_VERB ssize_t _ibv_query_gid_table(ibv_context* face, ibv_gid_entry* entries, size_t most,
                                           uint32_t flags, size_t entry_bytes) {
  Context& context = Context::from(face);
  if (int error = enter(context, Verb::query_gid)) return -error;
  if (flags != 0) return -EINVAL;
  ssize_t count = 0;
  auto* out = reinterpret_cast<std::byte*>(entries);
  for (uint32_t i = 0; i < layout::kGidsPerPort; ++i) {
    const layout::Gid* gid = gid_at(context, 1, i);
    if (!gid->present) continue;
    if (static_cast<size_t>(count) == most) return -EINVAL;
    ibv_gid_entry found = entry_of(*gid, i);
    memcpy(out + static_cast<size_t>(count++) * entry_bytes, &found,
           std::min(entry_bytes, sizeof found));
  }
  return count;
}

// ibv_query_gid_type() of the private nodes. Its answer is what sysfs says: 0 for InfiniBand and RoCE v1,
// 1 for RoCE v2.
extern "C" int railyard_query_gid_type(ibv_context* face, uint8_t port_number, unsigned index,
                                       unsigned* type) {
  const layout::Gid* gid = gid_at(Context::from(face), port_number, index);
  if (!gid) return errno = EINVAL, -1;
  *type = gid->type == IBV_GID_TYPE_ROCE_V2 ? 1 : 0;
  return 0;
}

namespace {
constexpr uint16_t kDefaultPkey = 0xffff;
}

RAILYARD_VERB int ibv_query_pkey(ibv_context* face, uint8_t port_number, int index, __be16* pkey) {
  Context& context = Context::from(face);
  if (int error = enter(context, Verb::query_pkey)) return errno = error, -1;
  if (port_number != 1 || index != 0) return errno = EINVAL, -1;
  *pkey = htons(kDefaultPkey);
  return 0;
}

RAILYARD_VERB int ibv_get_pkey_index(ibv_context*, uint8_t port_number, __be16 pkey) {
  return port_number == 1 && ntohs(pkey) == kDefaultPkey ? 0 : -1;
}
