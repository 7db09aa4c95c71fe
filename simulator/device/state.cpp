// A queue pair's life: creation, states, attributes.
#include <bit>
#include <cerrno>
#include <cstring>

#include "device/context.h"
#include "device/datagram.h"
#include "device/message_path.h"
#include "device/queue_pair.h"
#include "device/shared_receive_queue.h"
#include "device/shared_receiver.h"
#include "fabric/topology.h"

namespace railyard::sim {

using layout::kNowhere;

namespace {

constexpr uint32_t kMinSlotBytes = 64;
// With fewer an unreliable sender would soon look again what is settled: that takes a line from its
// peer each time. So many short messages fill a page.
constexpr uint32_t kMinRequests = 32;

// A completed unreliable send may still lie unread in the ring, up to as many as may be posted.
uint64_t ring_slots(uint32_t max_requests) {
  return std::bit_ceil(2 * uint64_t{std::max(max_requests, kMinRequests)});
}

constexpr uint64_t kInboxSlots = 256;

uint32_t slot_bytes(const ibv_qp_cap& cap, const fabric::Profile& profile, bool extended_reliable) {
  // Inline data that nobody asked room for is staged, which keeps the ring short.
  bool asked = cap.max_inline_data > static_cast<uint32_t>(profile.min_inline);
  size_t body = std::max<size_t>(
      {24, asked ? cap.max_inline_data : 0, cap.max_send_sge * sizeof(layout::Piece)});
  if (extended_reliable) body += layout::kSharedQueueBytes;
  return static_cast<uint32_t>((layout::kSlotHeaderBytes + body + kMinSlotBytes - 1) /
                               kMinSlotBytes * kMinSlotBytes);
}

}  // namespace

QueuePair::QueuePair(Context& owner, uint32_t number, const ibv_qp_init_attr_ex& wanted,
                     const ibv_qp_cap& granted)
    : ibv_qp_ex{},
      owner_(owner),
      attachment_(owner.attachment()),
      segment_(owner.segment()),
      profile_(owner.profile()),
      datagrams_(wanted.qp_type == IBV_QPT_UD),
      reliable_(wanted.qp_type != IBV_QPT_UC && wanted.qp_type != IBV_QPT_UD),
      extended_reliable_(wanted.qp_type == IBV_QPT_XRC_SEND || wanted.qp_type == IBV_QPT_XRC_RECV),
      number_(number),
      record_(owner.segment().queue_pair(number)),
      cap_(granted),
      signal_all_(wanted.sq_sig_all != 0),
      own_receives_(wanted.srq ? 0 : granted.max_recv_wr, granted.max_recv_sge),
      shared_(wanted.srq ? SharedReceiveQueue::from(wanted.srq) : nullptr) {
  qp_base.context = owner.face();
  qp_base.qp_context = wanted.qp_context;
  qp_base.pd = wanted.pd;
  qp_base.send_cq = wanted.send_cq;
  qp_base.recv_cq = wanted.recv_cq;
  qp_base.srq = wanted.srq;
  qp_base.handle = number;
  qp_base.qp_num = number;
  qp_base.state = IBV_QPS_RESET;
  qp_base.qp_type = wanted.qp_type;
  pthread_mutex_init(&qp_base.mutex, nullptr);
  pthread_cond_init(&qp_base.cond, nullptr);

  uint64_t slots = ring_slots(cap_.max_send_wr);
  send_mask_ = slots - 1;
  sends_ = std::make_unique_for_overwrite<Send[]>(slots);
  peer_ = &record_;
}

void QueuePair::start_record() {
  made_ = true;
  record_.context = owner_.record_index();
  record_.device = owner_.device_index();
  record_.port = owner_.port_index();
  record_.type = qp_base.qp_type;
  record_.state.store(IBV_QPS_RESET);
  record_.life.store(0);
  record_.connection.store(0);
  set_peer(0);
  record_.peer_port.store(kNowhere);
  record_.ring = 0;
  record_.attention.store(0);
  record_.retries.store(0);
  record_.remote_access.store(0);
  record_.protection_domain = reinterpret_cast<uint64_t>(qp_base.pd);
  for (auto* count :
       {&record_.posted,          &record_.completed,        &record_.lost,
        &record_.on_wire,         &record_.bytes_out,        &record_.adopted,
        &record_.settled,         &record_.refused_at,       &record_.receives_posted,
        &record_.receives_filled, &record_.messages_in,      &record_.bytes_in,
        &record_.dropped,         &record_.dropped_ticks,    &record_.receive_after_drop_ticks,
        &record_.not_ready,       &record_.frame_mismatches, &record_.changed_in_flight,
        &record_.domain,          &record_.adopted_life,     &record_.settled_ticks,
        &record_.reaching,        &record_.reached_in,       &record_.copied_plainly,
        &record_.copying}) {
    count->store(0);
  }
  record_.errors.store(0);
  record_.last_error.store(0);
  record_.inbox_tail.store(0);
  record_.error_event.store(layout::kNoEvent);
  memset(record_.attributes, 0, sizeof record_.attributes);
  for (auto& group : record_.groups) {
    group[0].store(0);
    group[1].store(0);
  }
}

int QueuePair::allocate() {
  start_record();
  if (extended_reliable()) owner_.attachment().forbid_sharing();
  if (shared_receiver()) return 0;  // it never sends
  uint64_t slots = send_mask_ + 1;
  record_.slot_bytes = slot_bytes(cap_, profile(), extended_reliable());
  if (datagrams()) {
    slots = kInboxSlots;
    record_.slot_bytes = sizeof(layout::Datagram) + (128u << profile().mtu);
  }
  record_.ring_mask = static_cast<uint32_t>(slots - 1);
  record_.ring = segment().allocate(slots * record_.slot_bytes, attachment().process());
  if (record_.ring == 0) return errno;
  if (datagrams()) {
    for (uint64_t i = 0; i < slots; ++i) {
      reinterpret_cast<layout::Datagram*>(segment().bytes_at(record_.ring + i * record_.slot_bytes))
          ->claim.store(i << layout::kClaimShift);
    }
  }
  measure_short();
  if (send_queue()) send_queue()->senders.push_back(this);
  if (receive_queue()) receive_queue()->receivers.push_back(this);
  if (shared_) ++shared_->users;
  update_attention();
  return 0;
}

QueuePair::~QueuePair() {
  if (!visits()) settle_arrived();
  bool stays = shared_receiver() && leave();
  if (!stays) give_back_record();
  pthread_mutex_destroy(&qp_base.mutex);
  pthread_cond_destroy(&qp_base.cond);
}

void QueuePair::give_back_record() {
  if (send_queue()) std::erase(send_queue()->senders, this);
  if (receive_queue()) std::erase(receive_queue()->receivers, this);
  if (receive_queue()) receive_queue()->count_unread(number_);
  discard_completions();
  if (qp_base.srq) --SharedReceiveQueue::from(qp_base.srq)->users;
  end_life();
  record_.connection.store(0, std::memory_order_release);
  layout::Port& port = segment().port(record_.port);
  port.messages_out.fetch_add(record_.posted.load());
  port.bytes_out.fetch_add(record_.bytes_out.load());
  port.messages_in.fetch_add(record_.messages_in.load() + record_.reached_in.load());
  port.bytes_in.fetch_add(record_.bytes_in.load());
  port.lost.fetch_add(record_.lost.load());
  port.changed_in_flight.fetch_add(record_.changed_in_flight.load());
  if (uint32_t errors = record_.errors.load(); errors != 0) {
    port.errors.fetch_add(errors);
    port.last_error.store(record_.last_error.load());
  }
  uint64_t ring = record_.ring, ring_bytes = (uint64_t{record_.ring_mask} + 1) * record_.slot_bytes;
  record_.owner.store(0, std::memory_order_release);
  // After that: whoever has read a message of what is given back sees that its sender is gone.
  staging_.release(segment());
  for (; reclaimed_ != posted_; ++reclaimed_) {
    const Send& send = send_at(reclaimed_);
    if (send.block_bytes != 0) segment().release(send.staged_at, send.block_bytes);
  }
  segment().release(ring, ring_bytes);
}

void QueuePair::set_peer(uint32_t number) {
  record_.peer_number.store(number);
  peer_ = &segment().queue_pair(number % layout::kMaxQueuePairs);
}

// Units of a queue's depth that a message takes.
uint32_t QueuePair::units_of(uint64_t bytes) const {
  uint32_t unit = profile().depth_unit_bytes;
  return unit == 0 || bytes <= unit ? 1 : static_cast<uint32_t>((bytes + unit - 1) / unit);
}

void QueuePair::set_state(ibv_qp_state state) {
  qp_base.state = state;
  bool takes_receives = state != IBV_QPS_RESET && !qp_base.srq && !extended_reliable();
  bool too_early = profile().receive_needs_rts && state < IBV_QPS_RTS;
  receive_error_ = !takes_receives ? EINVAL : too_early ? profile().receive_state_error : 0;
  record_.state.store(state, std::memory_order_release);
  uint64_t peer =
      static_cast<uint64_t>(record_.peer_port.load() + 1) << 32 | record_.peer_number.load();
  attachment().trace({layout::TraceKind::state, number_, peer, record_.port, 0, state});
}

void QueuePair::update_attention() {
  uint32_t flags = 0;
  auto look = [&](const CompletionQueue* queue) {
    if (queue && queue->channel) flags |= layout::kHasChannel;
    if (queue && queue->armed()) flags |= layout::kArmed;
  };
  look(send_queue());
  look(receive_queue());
  record_.attention.store(flags, std::memory_order_release);
}

namespace {

bool valid(const ibv_qp_attr& attributes, int mask, const Context& context) {
  const fabric::Profile& profile = context.profile();
  const layout::Port& port = context.segment().port(context.port_index());
  if ((mask & IBV_QP_PORT) && attributes.port_num != 1) return false;
  if ((mask & IBV_QP_PKEY_INDEX) && attributes.pkey_index != 0) return false;
  if ((mask & IBV_QP_PATH_MTU) &&
      (attributes.path_mtu < IBV_MTU_256 || attributes.path_mtu > profile.mtu)) {
    return false;
  }
  if (mask & IBV_QP_AV) {
    const ibv_ah_attr& address = attributes.ah_attr;
    if (address.is_global) {
      if (address.grh.sgid_index >= layout::kGidsPerPort) return false;
      if (!port.gids[address.grh.sgid_index].present) return false;
    } else if (profile.link_layer != IBV_LINK_LAYER_INFINIBAND) {
      return false;  // Ethernet and Thunderbolt know no LIDs
    }
  }
  if ((mask & IBV_QP_MAX_QP_RD_ATOMIC) && attributes.max_rd_atomic > profile.max_rd_atomic)
    return false;
  if ((mask & IBV_QP_MAX_DEST_RD_ATOMIC) && attributes.max_dest_rd_atomic > profile.max_rd_atomic) {
    return false;
  }
  if ((mask & IBV_QP_RETRY_CNT) && attributes.retry_cnt > 7) return false;
  if ((mask & IBV_QP_RNR_RETRY) && attributes.rnr_retry > 7) return false;
  if ((mask & IBV_QP_TIMEOUT) && attributes.timeout > 31) return false;
  return !(mask & IBV_QP_MIN_RNR_TIMER) || attributes.min_rnr_timer <= 31;
}

void merge(ibv_qp_attr& into, const ibv_qp_attr& from, int mask) {
#define TAKE(flag, field) \
  if (mask & (flag)) into.field = from.field
  TAKE(IBV_QP_PKEY_INDEX, pkey_index);
  TAKE(IBV_QP_PORT, port_num);
  TAKE(IBV_QP_QKEY, qkey);
  TAKE(IBV_QP_ACCESS_FLAGS, qp_access_flags);
  TAKE(IBV_QP_AV, ah_attr);
  TAKE(IBV_QP_PATH_MTU, path_mtu);
  TAKE(IBV_QP_DEST_QPN, dest_qp_num);
  TAKE(IBV_QP_RQ_PSN, rq_psn);
  TAKE(IBV_QP_SQ_PSN, sq_psn);
  TAKE(IBV_QP_MAX_QP_RD_ATOMIC, max_rd_atomic);
  TAKE(IBV_QP_MAX_DEST_RD_ATOMIC, max_dest_rd_atomic);
  TAKE(IBV_QP_MIN_RNR_TIMER, min_rnr_timer);
  TAKE(IBV_QP_TIMEOUT, timeout);
  TAKE(IBV_QP_RETRY_CNT, retry_cnt);
  TAKE(IBV_QP_RNR_RETRY, rnr_retry);
  TAKE(IBV_QP_ALT_PATH, alt_ah_attr);
  TAKE(IBV_QP_ALT_PATH, alt_port_num);
  TAKE(IBV_QP_ALT_PATH, alt_timeout);
  TAKE(IBV_QP_PATH_MIG_STATE, path_mig_state);
#undef TAKE
}

}  // namespace

int32_t port_of_address(const Segment& segment, const ibv_ah_attr& address) {
  if (!address.is_global) return port_with_lid(segment, address.dlid);
  fabric::RawGid gid;
  memcpy(gid.data(), address.grh.dgid.raw, gid.size());
  return port_with_gid(segment, gid);
}

int QueuePair::modify(const ibv_qp_attr& wanted, int mask) {
  Turn turn(*this);
  ibv_qp_state from = qp_base.state;
  if ((mask & IBV_QP_CUR_STATE) && wanted.cur_qp_state != from) return EINVAL;
  ibv_qp_state to = mask & IBV_QP_STATE ? wanted.qp_state : from;
  if (int error = check_transition(qp_base.qp_type, from, to, mask)) return error;
  if (!valid(wanted, mask, owner_)) return EINVAL;

  bool starting = from == IBV_QPS_INIT && to == IBV_QPS_RTR;
  bool connecting = starting && !datagrams();
  int32_t peer_port = kNowhere;
  if (connecting) {
    peer_port = port_of_address(segment(), wanted.ah_attr);
    if (profile().wrong_cable == fabric::WrongCable::refuse &&
        !reaches(segment(), static_cast<int32_t>(record_.port), peer_port)) {
      return profile().wrong_cable_error;
    }
  }
  merge(attributes_, wanted, mask);
  listening_life_ = 0;
  record_.retries.store(attributes_.rnr_retry | uint32_t{attributes_.retry_cnt} << 8 |
                        uint32_t{attributes_.timeout} << 16 |
                        uint32_t{attributes_.min_rnr_timer} << 24);
  record_.remote_access.store(attributes_.qp_access_flags);
  if (receiving() && (mask & IBV_QP_ACCESS_FLAGS)) await_reaching_peer();
  record_.send_psn.store(attributes_.sq_psn & 0xffffff);
  record_.receive_psn.store(attributes_.rq_psn & 0xffffff);
  if (to == IBV_QPS_RESET) {
    settle_arrived();
    reset();
  } else if (to == IBV_QPS_ERR) {
    settle_arrived();
    // What the peer has acknowledged is done, though the program has not polled since.
    if (qp_base.state == IBV_QPS_RTS && !datagrams() && sends_outstanding()) complete_sends(false);
    enter_error(false);
  } else {
    if (connecting) {
      set_peer(attributes_.dest_qp_num);
      record_.peer_port.store(peer_port);
      topology_epoch_ = 0;
      peer_life_ = 0;
      start_connection();
    }
    if (to != from) set_state(to);
    if (from == IBV_QPS_SQE) failing_ = false;
    if (starting) {
      adopted_life_ = segment().fresh_connection();
      record_.life.store(adopted_life_, std::memory_order_release);
    }
    if (receiving() && !datagrams() && adopted_ == 0) adopt();
    // A peer that was quicker has sent already, and rung for nothing.
    if (starting) progress_receives();
    if (to == IBV_QPS_SQD && wanted.en_sqd_async_notify && (mask & IBV_QP_EN_SQD_ASYNC_NOTIFY)) {
      owner_.raise(IBV_EVENT_SQ_DRAINED, &qp_base);
    }
  }
  show_attributes();
  return 0;
}

void QueuePair::query(ibv_qp_attr& attributes, ibv_qp_init_attr& initial) {
  Turn turn(*this);
  attributes = attributes_;
  attributes.qp_state = attributes.cur_qp_state = qp_base.state;
  attributes.cap = cap_;
  initial = {};
  initial.qp_context = qp_base.qp_context;
  initial.send_cq = qp_base.send_cq;
  initial.recv_cq = qp_base.recv_cq;
  initial.srq = qp_base.srq;
  initial.cap = cap_;
  initial.qp_type = qp_base.qp_type;
  initial.sq_sig_all = signal_all_;
}

// A new stream of messages: what is on the ring belongs to nobody any more.
void QueuePair::start_connection() {
  uint64_t connection = segment().fresh_connection();
  for (; reclaimed_ != completed_; ++reclaimed_) {
    Send& send = send_at(reclaimed_);
    if (send.block_bytes != 0) segment().release(send.staged_at, send.block_bytes);
  }
  for (uint64_t i = completed_; i != posted_; ++i) send_at(i).on_wire = false;  // lost
  on_wire_ = settled_ = 0;
  record_.on_wire.store(0);
  staging_.give_back(staging_.mark());
  closed_since_ = 0;
  peer_dead_ = false;
  record_.connection.store(connection, std::memory_order_release);
}

void QueuePair::enter_error(bool tell_program) {
  Turn turn(*this);
  if (qp_base.state == IBV_QPS_ERR) return;
  if (qp_base.state == IBV_QPS_RTS) complete_settled();
  record_.error_event.store(tell_program ? uint32_t{IBV_EVENT_QP_ACCESS_ERR} : layout::kNoEvent);
  set_state(IBV_QPS_ERR);
  end_life();
  record_.connection.store(0, std::memory_order_release);
  closed_since_ = 0;
  refusing_ = holding_ = peer_moves_ = false;
  flush_sends();
  flush_receives();
  if (shared_receiver()) tell_sharers();
  if (tell_program && !visits()) owner_.raise(IBV_EVENT_QP_ACCESS_ERR, &qp_base);
}

void QueuePair::flush_sends() {
  while (completed_ != posted_) complete_send(send_at(completed_), IBV_WC_WR_FLUSH_ERR);
}

void QueuePair::flush_receives() {
  for (; !own_receives_.empty(); own_receives_.pop()) {
    ibv_wc& wc = receive_queue()->add();
    wc.wr_id = own_receives_.front().id;
    wc.status = IBV_WC_WR_FLUSH_ERR;
    wc.opcode = IBV_WC_RECV;
    wc.qp_num = number_;
    receive_queue()->publish(wc, true);
  }
  if (qp_base.srq) owner_.raise(IBV_EVENT_QP_LAST_WQE_REACHED, &qp_base);
}

// What arrived while this queue pair still received has been received, and acknowledged to its
// sender, though the program has not looked since.
void QueuePair::settle_arrived() {
  while (progress_receives()) {
  }
}

void QueuePair::discard_completions() {
  for (CompletionQueue* queue : {send_queue(), receive_queue()}) {
    if (queue) queue->discard(number_);
  }
}

void QueuePair::reset() {
  set_state(IBV_QPS_RESET);
  discard_completions();
  end_life();
  completed_ = released_ = posted_;
  start_connection();
  record_.connection.store(0, std::memory_order_release);
  used_units_ = awaited_ = 0;
  own_receives_.clear();
  pending_.clear();
  record_.completed.store(record_.posted.load());
  record_.receives_filled.store(record_.receives_posted.load());
  adopted_ = 0;  // the record's stays: the sender may not have read yet what was settled
  await(0);
  refusing_ = holding_ = failing_ = false;
  attributes_ = {};
}

}  // namespace railyard::sim
