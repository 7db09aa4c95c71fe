#include "verbs/queue_pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "verbs/library.h"

namespace railyard {

namespace {

ibv_qp* create(const Device& device, CompletionQueue& queue, Transport transport, QueueDepth asked,
               QueueDepth& granted) {
  ibv_qp_init_attr attributes{};
  attributes.send_cq = queue.get();
  attributes.recv_cq = queue.get();
  attributes.qp_type = transport == Transport::reliable ? IBV_QPT_RC : IBV_QPT_UC;
  attributes.cap.max_send_wr = asked.send;
  attributes.cap.max_recv_wr = asked.receive;
  attributes.cap.max_send_sge = 1;
  attributes.cap.max_recv_sge = 1;
  attributes.cap.max_inline_data = asked.inline_bytes;
  errno = 0;
  ibv_qp* pair = library().create_qp(device.domain(), &attributes);
  const ibv_qp_cap& cap = attributes.cap;
  granted = {cap.max_send_wr, cap.max_recv_wr, cap.max_inline_data};
  return pair;
}

const char* type_name(Transport transport) {
  return transport == Transport::reliable ? "RC" : "UC";
}

}  // namespace

QueuePair::QueuePair(std::shared_ptr<Device> device, CompletionQueue& queue, Transport transport,
                     QueueDepth asked, VerbPlace place)
    : device_(std::move(device)), transport_(transport), place_(std::move(place)) {
  pair_ = create(*device_, queue, transport, asked, granted_);
  if (!pair_ && errno == EINVAL && asked.inline_bytes > 0) {
    asked.inline_bytes = 0;  // no device says how much it takes, but by refusing
    pair_ = create(*device_, queue, transport, asked, granted_);
  }
  if (!pair_) {
    bool limit = errno == EBUSY || errno == ENOMEM || errno == EAGAIN;
    int held = device_->queue_pairs();
    std::string hint = fmt::format("this process holds {} queue pairs of the device", held);
    Error error = verb_error(limit ? ErrorCode::limit_reached : ErrorCode::device, "ibv_create_qp",
                             errno, place_, hint);
    if (limit) {
      error.limit = fmt::format("{} queue pairs of the device", type_name(transport));
      error.asked = held + 1;
      error.granted = held;
    }
    throw error;
  }
  first_packet_ = (pair_->qp_num * 7919u) & 0xffffffu;
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_INIT;
  attributes.port_num = kPort;
  try {
    modify(attributes, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS,
           "INIT");
    read_granted();
  } catch (...) {
    library().destroy_qp(pair_);
    throw;
  }
  ++device_->queue_pairs();
}

QueuePair::~QueuePair() {
  library().destroy_qp(pair_);
  --device_->queue_pairs();
}

Transport QueuePair::choose_transport(const std::shared_ptr<Device>& device,
                                      CompletionQueue& queue) {
  if (device->is_thunderbolt()) return Transport::unreliable;
  QueueDepth granted;
  ibv_qp* probe = create(*device, queue, Transport::reliable, {1, 1}, granted);
  if (!probe) return Transport::unreliable;
  library().destroy_qp(probe);
  return Transport::reliable;
}

void QueuePair::read_granted() {
  ibv_qp_attr attributes{};
  ibv_qp_init_attr initial{};
  if (library().query_qp(pair_, &attributes, IBV_QP_CAP, &initial) != 0) return;
  // Devices answer in one or the other.
  granted_.send = std::max(attributes.cap.max_send_wr, initial.cap.max_send_wr);
  granted_.receive = std::max(attributes.cap.max_recv_wr, initial.cap.max_recv_wr);
}

QueuePairAddress QueuePair::address() const {
  const PortAddress& port = device_->address();
  return {port.gid, port.lid, pair_->qp_num, first_packet_, device_->mtu()};
}

void QueuePair::modify(ibv_qp_attr& attributes, int mask, const char* state) {
  int error = errno_of(library().modify_qp(pair_, &attributes, mask));
  if (!error) return;
  std::string verb = fmt::format("ibv_modify_qp to {}", state);
  if (error == ETIMEDOUT) {
    throw verb_error(ErrorCode::peer_unreachable, verb, error, place_,
                     "the peer's address does not lie at the other end of this cable; check the "
                     "device matrix and the cables");
  }
  const char* hint = "";
  if (attributes.qp_state == IBV_QPS_RTR && error == EINVAL) {
    hint = "is a Thunderbolt bridge active, or has the interface lost its address?";
  } else if (attributes.qp_state == IBV_QPS_RTR && error == EBUSY) {
    hint = "a process that crashed may still hold the device; end it or restart";
  }
  throw verb_error(ErrorCode::device, verb, error, place_, hint);
}

void QueuePair::connect(const QueuePairAddress& peer) {
  bool reliable = transport_ == Transport::reliable;
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RTR;
  attributes.path_mtu = std::min(peer.mtu, device_->mtu());
  attributes.dest_qp_num = peer.number;
  attributes.rq_psn = peer.first_packet;
  attributes.ah_attr.is_global = 1;
  attributes.ah_attr.grh.dgid = peer.gid;
  attributes.ah_attr.grh.sgid_index = static_cast<uint8_t>(device_->address().gid_index);
  attributes.ah_attr.grh.hop_limit = 64;
  attributes.ah_attr.dlid = peer.lid;
  attributes.ah_attr.port_num = kPort;
  int mask = IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
  if (reliable) {
    attributes.max_dest_rd_atomic = 0;
    attributes.min_rnr_timer = 12;  // 0.64 ms
    mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
  }
  modify(attributes, mask, "RTR");

  attributes = {};
  attributes.qp_state = IBV_QPS_RTS;
  attributes.sq_psn = first_packet_;
  mask = IBV_QP_STATE | IBV_QP_SQ_PSN;
  if (reliable) {
    attributes.timeout = 14;  // 67 ms
    attributes.retry_cnt = 7;
    attributes.rnr_retry = 6;  // credits make RNR impossible; 7 would try for ever
    attributes.max_rd_atomic = 0;
    mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
  }
  modify(attributes, mask, "RTS");
}

void QueuePair::post_send(uint64_t id, const std::byte* data, size_t bytes, uint32_t key,
                          bool signaled) {
  ibv_sge piece{reinterpret_cast<uint64_t>(data), static_cast<uint32_t>(bytes), key};
  ibv_send_wr request{};
  request.wr_id = id;
  request.sg_list = &piece;
  request.num_sge = 1;
  request.opcode = IBV_WR_SEND;
  if (signaled) request.send_flags |= IBV_SEND_SIGNALED;
  if (bytes <= granted_.inline_bytes) request.send_flags |= IBV_SEND_INLINE;
  ibv_send_wr* bad = nullptr;
  int error = errno_of(pair_->context->ops.post_send(pair_, &request, &bad));
  if (error) throw verb_error(ErrorCode::device, "ibv_post_send", error, place_);
}

void QueuePair::add_receive(uint64_t id, std::byte* data, size_t bytes, uint32_t key) {
  if (receives_ == kReceivesAtOnce) post_receives();
  pieces_[receives_] = {reinterpret_cast<uint64_t>(data), static_cast<uint32_t>(bytes), key};
  ibv_recv_wr& request = requests_[receives_];
  request = {};
  request.wr_id = id;
  request.sg_list = &pieces_[receives_];
  request.num_sge = 1;
  if (receives_ > 0) requests_[receives_ - 1].next = &request;
  ++receives_;
}

void QueuePair::post_receives() {
  if (receives_ == 0) return;
  receives_ = 0;
  ibv_recv_wr* bad = nullptr;
  int error = errno_of(pair_->context->ops.post_recv(pair_, requests_, &bad));
  if (error) throw verb_error(ErrorCode::device, "ibv_post_recv", error, place_);
}

}  // namespace railyard
