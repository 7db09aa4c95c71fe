// What the manager answers from the fabric: devices, routes, attributes, groups.
#include <endian.h>

#include <cerrno>
#include <cstring>

#include "cm/manager.h"
#include "fabric/topology.h"

namespace railyard::cm {

namespace {

constexpr uint16_t kDefaultPkey = 0xffff;
constexpr uint8_t kRate100Gbs = 16, kExactly = 2;
constexpr uint8_t kPacketLifeTime = 18;  // 4.096 us << 18: a second, what cma.c assumes
constexpr uint8_t kAckTimeout = 19;      // and twice that
constexpr uint8_t kHopLimit = 64;
constexpr uint8_t kPortNumber = 1;
constexpr uint16_t kFirstGroupLid = 0xc000;

uint8_t* bytes(ibv_gid& gid) { return gid.raw; }

}  // namespace

std::optional<int32_t> Manager::port_towards(int32_t peer_port) const {
  const auto& node = home_.record();
  for (uint32_t i = 0; i < node.device_count; ++i) {
    auto port = static_cast<int32_t>(home_.segment.device(node.first_device + i).port);
    if (!fabric::port_active(home_.segment, port)) continue;
    if (peer_port == fabric::layout::kNowhere || fabric::reaches(home_.segment, peer_port, port)) {
      return port;
    }
  }
  return std::nullopt;
}

int Manager::acquire(Identifier& id) {
  if (id.port != fabric::layout::kNowhere) return 0;
  std::optional<int32_t> port = port_towards(fabric::layout::kNowhere);
  if (!port) return ENODEV;
  id.port = *port;
  return 0;
}

// Before the connection: the route's two ends, if somebody is bound to the destination.
void Manager::look_for_peer(Identifier& id) {
  if (id.destination.multicast() || id.destination.port() == 0) return;
  std::optional<uint32_t> node = node_at(home_.segment.name(), id.port_space, id.destination);
  if (!node || *node >= home_.segment.header().node_count) return;
  const auto& other = home_.segment.node(*node);
  for (uint32_t i = 0; i < other.device_count; ++i) {
    auto peer = static_cast<int32_t>(home_.segment.device(other.first_device + i).port);
    if (!fabric::port_active(home_.segment, peer)) continue;
    std::optional<int32_t> own = port_towards(peer);
    if (!own || (id.port != fabric::layout::kNowhere && id.port != *own)) continue;
    id.port = *own;
    id.peer_port = peer;
    return;
  }
}

// The version 2 address where there is one.
uint8_t Manager::source_gid_index(int32_t port) const {
  const auto& gids = home_.segment.port(static_cast<uint32_t>(port)).gids;
  for (uint8_t i = fabric::layout::kGidsPerPort; i-- > 0;) {
    if (gids[i].present && gids[i].type == IBV_GID_TYPE_ROCE_V2) return i;
  }
  return 0;
}

void Manager::address_of_peer(const Identifier& id, ib_uverbs_ah_attr* out) const {
  const auto& peer = home_.segment.port(static_cast<uint32_t>(id.peer_port));
  uint8_t index = source_gid_index(id.port);
  *out = {};
  memcpy(out->grh.dgid, peer.gids[index].raw, sizeof out->grh.dgid);
  out->grh.sgid_index = index;
  out->grh.hop_limit = kHopLimit;
  out->dlid = peer.lid;
  out->port_num = kPortNumber;
  out->is_global = home_.segment.profile().link_layer != IBV_LINK_LAYER_INFINIBAND;
}

int Manager::query_route(uint32_t number, rdma_ucm_query_route_resp* out) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  *out = {};
  out->src_addr = id->source.raw();
  out->dst_addr = id->destination.raw();
  if (id->port == fabric::layout::kNowhere) return 0;
  const auto& own = home_.segment.port(static_cast<uint32_t>(id->port));
  out->node_guid = htobe64(home_.segment.device(own.device).guid);
  out->port_num = kPortNumber;
  out->ibdev_index = own.device;
  uint8_t index = source_gid_index(id->port);
  ib_user_path_rec& route = out->ib_route[0];
  memcpy(route.sgid, own.gids[index].raw, sizeof route.sgid);
  route.pkey = htobe16(kDefaultPkey);
  if (id->destination.known() && id->destination.multicast()) {
    ibv_gid group = id->destination.group(
        home_.segment.profile().link_layer == IBV_LINK_LAYER_INFINIBAND, id->datagram());
    memcpy(route.dgid, bytes(group), sizeof route.dgid);
  }
  // Of a peer that is not known before the connection, this end stands for both.
  int32_t peer = id->peer_port == fabric::layout::kNowhere ? id->port : id->peer_port;
  const auto& other = home_.segment.port(static_cast<uint32_t>(peer));
  if (id->stage < Stage::route_known) return 0;
  out->num_paths = 1;
  memcpy(route.dgid, other.gids[index].raw, sizeof route.dgid);
  route.slid = htobe16(own.lid);
  route.dlid = htobe16(other.lid);
  route.hop_limit = home_.segment.profile().link_layer == IBV_LINK_LAYER_INFINIBAND ? 0 : kHopLimit;
  route.reversible = 1;
  route.mtu_selector = route.rate_selector = route.packet_life_time_selector = kExactly;
  route.mtu = home_.segment.profile().mtu;
  route.rate = kRate100Gbs;
  route.packet_life_time = kPacketLifeTime;
  return 0;
}

int Manager::query_address(uint32_t number, rdma_ucm_query_addr_resp* out) {
  rdma_ucm_query_route_resp route;
  if (int error = query_route(number, &route)) return error;
  std::lock_guard lock(mutex_);
  const Identifier* id = find(number);
  if (!id) return ENOENT;
  *out = {};
  out->node_guid = route.node_guid;
  out->port_num = route.port_num;
  out->ibdev_index = route.ibdev_index;
  out->pkey = kDefaultPkey;
  out->src_size = static_cast<uint16_t>(id->source.known() ? id->source.size() : 0);
  out->dst_size = static_cast<uint16_t>(id->destination.known() ? id->destination.size() : 0);
  memcpy(&out->src_addr, &id->source.raw(), out->src_size);
  memcpy(&out->dst_addr, &id->destination.raw(), out->dst_size);
  return 0;
}

int Manager::query_gid(uint32_t number, rdma_ucm_query_addr_resp* out) {
  rdma_ucm_query_route_resp route;
  if (int error = query_route(number, &route)) return error;
  struct IbAddress {  // struct sockaddr_ib
    uint16_t family, pkey;
    uint32_t flow_info;
    uint8_t gid[16];
    uint64_t service, service_mask, scope;
  };
  auto fill = [&](const uint8_t* gid, __kernel_sockaddr_storage* where, uint16_t* size) {
    constexpr uint16_t kFamilyIb = 27;
    IbAddress address{kFamilyIb, htobe16(kDefaultPkey), 0, {}, 0, 0, 0};
    memcpy(address.gid, gid, sizeof address.gid);
    memcpy(where, &address, sizeof address);
    *size = sizeof address;
  };
  *out = {};
  out->node_guid = route.node_guid;
  out->port_num = route.port_num;
  out->ibdev_index = route.ibdev_index;
  out->pkey = kDefaultPkey;
  fill(route.ib_route[0].sgid, &out->src_addr, &out->src_size);
  fill(route.ib_route[0].dgid, &out->dst_addr, &out->dst_size);
  return 0;
}

// As the kernel's rdma_init_qp_attr() and ib_cm_init_qp_attr() do.
int Manager::init_queue_pair(uint32_t number, uint32_t state, ib_uverbs_qp_attr* out) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (id->port == fabric::layout::kNowhere) return EINVAL;
  *out = {};
  out->qp_state = state;
  out->qp_attr_mask = IBV_QP_STATE;
  bool reliable =
      id->type == IBV_QPT_RC || id->type == IBV_QPT_XRC_SEND || id->type == IBV_QPT_XRC_RECV;
  bool receives = id->type != IBV_QPT_XRC_SEND, sends = id->type != IBV_QPT_XRC_RECV;
  switch (state) {
    case IBV_QPS_INIT:
      out->qp_attr_mask |= IBV_QP_PKEY_INDEX | IBV_QP_PORT;
      out->port_num = kPortNumber;
      if (id->datagram()) {
        out->qp_attr_mask |= IBV_QP_QKEY;
        out->qkey = kDatagramQueueKey;
      } else {
        out->qp_attr_mask |= IBV_QP_ACCESS_FLAGS;
        if (id->stage >= Stage::requesting) out->qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
        if (id->stage >= Stage::requesting && id->responder_resources != 0) {
          out->qp_access_flags |= IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;
        }
      }
      return 0;
    case IBV_QPS_RTR:
      if (id->datagram()) return 0;
      if (id->peer_port == fabric::layout::kNowhere) return EINVAL;
      out->qp_attr_mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
      address_of_peer(*id, &out->ah_attr);
      out->path_mtu = home_.segment.profile().mtu;
      out->dest_qp_num = id->peer_queue_pair;
      out->rq_psn = id->peer_first_psn;
      if (reliable && receives) {
        out->qp_attr_mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
        out->max_dest_rd_atomic = id->responder_resources;
      }
      return 0;
    case IBV_QPS_RTS:
      out->qp_attr_mask |= IBV_QP_SQ_PSN;
      out->sq_psn = id->first_psn;
      if (id->type == IBV_QPT_XRC_RECV || reliable) {
        out->qp_attr_mask |= IBV_QP_TIMEOUT;
        out->timeout = kAckTimeout;
      }
      if (reliable && sends) {
        out->qp_attr_mask |= IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
        out->retry_cnt = id->retry_count;
        out->rnr_retry = id->rnr_retry_count;
        out->max_rd_atomic = id->initiator_depth;
      }
      return 0;
    default:
      return EINVAL;
  }
}

int Manager::join(uint32_t number, uint64_t uid, const Address& group, uint32_t* membership) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (id->port == fabric::layout::kNowhere || !group.known()) return EINVAL;
  *membership = next_number_++;
  memberships_[*membership] = {number, uid};

  bool infiniband = home_.segment.profile().link_layer == IBV_LINK_LAYER_INFINIBAND;
  ibv_gid gid = group.group(infiniband, id->port_space == RDMA_PS_UDP);
  rdma_ucm_event_resp shown = event(*id, kMulticastJoin);
  shown.uid = uid;
  shown.id = *membership;
  rdma_ucm_ud_param& address = shown.param.ud;
  address.qp_num = kMulticastQueuePair;
  address.qkey = kDatagramQueueKey;
  memcpy(address.ah_attr.grh.dgid, gid.raw, sizeof gid.raw);
  address.ah_attr.grh.sgid_index = source_gid_index(id->port);
  address.ah_attr.grh.hop_limit = kHopLimit;
  address.ah_attr.is_global = 1;
  address.ah_attr.port_num = kPortNumber;
  if (infiniband) {
    address.ah_attr.dlid = static_cast<uint16_t>(kFirstGroupLid | (gid.raw[14] << 8 | gid.raw[15]));
  }
  enqueue(id->channel, {number, *membership, shown});
  return 0;
}

int Manager::leave(uint32_t membership, uint32_t* events_reported) {
  std::lock_guard lock(mutex_);
  auto found = memberships_.find(membership);
  if (found == memberships_.end()) return ENOENT;
  *events_reported = found->second.events_reported;
  if (Identifier* id = find(found->second.identifier)) {
    Channel& channel = channels_.at(id->channel);
    std::erase_if(channel.events,
                  [&](const Event& event) { return event.membership == membership; });
    ring(channel);
  }
  memberships_.erase(found);
  return 0;
}

}  // namespace railyard::cm
