// Address handles and multicast groups.
#include <arpa/inet.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "device/context.h"
#include "device/datagram.h"
#include "device/queue_pair.h"
#include "fabric/topology.h"
#include "verbs/export.h"
#include "verbs/operations.h"

using namespace railyard::sim;

namespace {

bool is_multicast(const ibv_gid& gid) { return gid.raw[0] == 0xff; }

}  // namespace

RAILYARD_VERB ibv_ah* ibv_create_ah(ibv_pd* domain, ibv_ah_attr* attributes) {
  Context& context = Context::from(domain->context);
  if (enter(context, Verb::create_ah)) return nullptr;
  const railyard::fabric::Profile& profile = context.profile();
  if (!(profile.transports & railyard::fabric::kDatagram)) return errno = EOPNOTSUPP, nullptr;
  if (attributes->port_num != 1) return errno = EINVAL, nullptr;
  const layout::Port& port = context.segment().port(context.port_index());
  if (attributes->is_global) {
    uint32_t index = attributes->grh.sgid_index;
    if (index >= layout::kGidsPerPort || !port.gids[index].present) return errno = EINVAL, nullptr;
  } else if (profile.link_layer != IBV_LINK_LAYER_INFINIBAND) {
    return errno = EINVAL, nullptr;
  }
  auto* handle = new AddressHandle{};
  handle->context = domain->context;
  handle->pd = domain;
  handle->attributes = *attributes;
  handle->multicast = attributes->is_global && is_multicast(attributes->grh.dgid);
  handle->port = handle->multicast ? layout::kNowhere : port_of_address(context.segment(), *attributes);
  return handle;
}

RAILYARD_VERB int ibv_destroy_ah(ibv_ah* handle) {
  if (int error = enter(Context::from(handle->context), Verb::destroy_ah)) return error;
  delete static_cast<AddressHandle*>(handle);
  return 0;
}

// The way back to who sent a datagram.
RAILYARD_VERB int ibv_init_ah_from_wc(ibv_context* face, uint8_t port_number, ibv_wc* wc, ibv_grh* grh,
                                      ibv_ah_attr* attributes) {
  *attributes = {};
  attributes->dlid = wc->slid;
  attributes->sl = wc->sl;
  attributes->src_path_bits = wc->dlid_path_bits;
  attributes->port_num = port_number;
  if (!(wc->wc_flags & IBV_WC_GRH)) return 0;
  const Context& context = Context::from(face);
  const layout::Port& port = context.segment().port(context.port_index());
  attributes->is_global = 1;
  attributes->grh.dgid = grh->sgid;
  for (uint8_t i = 0; i < layout::kGidsPerPort; ++i) {
    if (port.gids[i].present && memcmp(port.gids[i].raw, grh->dgid.raw, sizeof port.gids[i].raw) == 0) {
      attributes->grh.sgid_index = i;
    }
  }
  uint32_t flow = ntohl(grh->version_tclass_flow);
  attributes->grh.flow_label = flow & 0xfffff;
  attributes->grh.hop_limit = grh->hop_limit;
  attributes->grh.traffic_class = static_cast<uint8_t>(flow >> 20);
  return 0;
}

RAILYARD_VERB ibv_ah* ibv_create_ah_from_wc(ibv_pd* domain, ibv_wc* wc, ibv_grh* grh,
                                            uint8_t port_number) {
  ibv_ah_attr attributes;
  if (ibv_init_ah_from_wc(domain->context, port_number, wc, grh, &attributes) != 0) return nullptr;
  return ibv_create_ah(domain, &attributes);
}

namespace {

int change_group(ibv_qp* face, const ibv_gid* group, Verb verb, int (QueuePair::*change)(const ibv_gid&)) {
  QueuePair& pair = *QueuePair::from(face);
  if (int error = enter(pair.owner(), verb)) return error;
  if (!pair.owner().profile().multicast) return errno = EOPNOTSUPP;
  if (face->qp_type != IBV_QPT_UD || !is_multicast(*group)) return errno = EINVAL;
  std::lock_guard guard(pair.owner().lock);
  int error = (pair.*change)(*group);
  return error ? (errno = error) : 0;
}

}  // namespace

RAILYARD_VERB int ibv_attach_mcast(ibv_qp* pair, const ibv_gid* group, uint16_t) {
  return change_group(pair, group, Verb::attach_mcast, &QueuePair::join_group);
}

RAILYARD_VERB int ibv_detach_mcast(ibv_qp* pair, const ibv_gid* group, uint16_t) {
  return change_group(pair, group, Verb::detach_mcast, &QueuePair::leave_group);
}
