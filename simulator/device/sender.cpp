// The sender's half of a queue pair: from a work request to the ring, and from what the peer
// settled to the completion. How payloads travel is in carriage.cpp.
#include <cerrno>
#include <cstring>

#include "device/context.h"
#include "device/link.h"
#include "device/message_path.h"
#include "device/payload.h"
#include "device/queue_pair.h"
#include "fabric/topology.h"
#include "platform/doorbell.h"

namespace railyard::sim {

namespace {

// Polls without a settlement after which the peer's helper is woken, as nobody else looks there.
constexpr uint32_t kStalledPolls = 1024;
// On a busy machine each poll of a program that yields may take a time slice: the clock counts too.
constexpr uint32_t kStalledPollsPerClock = 8;
constexpr uint64_t kStalledNs = 20'000'000;
static_assert(kStalledPolls % kStalledPollsPerClock == 0);

bool atomic(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_ATOMIC_CMP_AND_SWP || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

bool one_sided(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_RDMA_WRITE || opcode == IBV_WR_RDMA_WRITE_WITH_IMM ||
         opcode == IBV_WR_RDMA_READ || atomic(opcode);
}

bool local(ibv_wr_opcode opcode) { return opcode == IBV_WR_LOCAL_INV || opcode == IBV_WR_BIND_MW; }

ibv_wc_opcode completion_opcode(ibv_wr_opcode opcode) {
  switch (opcode) {
    case IBV_WR_ATOMIC_CMP_AND_SWP:
      return IBV_WC_COMP_SWAP;
    case IBV_WR_ATOMIC_FETCH_AND_ADD:
      return IBV_WC_FETCH_ADD;
    case IBV_WR_LOCAL_INV:
      return IBV_WC_LOCAL_INV;
    case IBV_WR_BIND_MW:
      return IBV_WC_BIND_MW;
    case IBV_WR_RDMA_WRITE:
    case IBV_WR_RDMA_WRITE_WITH_IMM:
      return IBV_WC_RDMA_WRITE;
    case IBV_WR_RDMA_READ:
      return IBV_WC_RDMA_READ;
    default:
      return IBV_WC_SEND;
  }
}

}  // namespace

uint32_t peer_type_of(uint32_t type) {
  if (type == IBV_QPT_XRC_SEND) return IBV_QPT_XRC_RECV;
  return type == IBV_QPT_XRC_RECV ? static_cast<uint32_t>(IBV_QPT_XRC_SEND) : type;
}

fabric::NoReceive QueuePair::unreliable_rule() const { return profile().unreliable_no_receive; }

void QueuePair::read_topology() {
  topology_epoch_ = segment().header().topology_epoch.load(std::memory_order_acquire);
  int32_t here = static_cast<int32_t>(record_.port), there = record_.peer_port.load();
  reachable_ = reaches(segment(), here, there);
  unreachable_from_ = 0;
  if (reachable_) return;
  for (int32_t port : {here, there}) {
    if (port >= 0) unreachable_from_ = std::max(unreachable_from_, broken_since(segment(), port));
  }
  for (uint32_t i = 0; i < segment().header().cable_count; ++i) {
    unreachable_from_ = std::max(unreachable_from_, segment().cable(i).changed_ticks.load());
  }
}

bool QueuePair::peer_listens() const {
  const layout::QueuePair& peer = peer_record();
  uint64_t life = peer.life.load(std::memory_order_acquire);
  if (peer_dead_ || life == 0) return false;
  if (life == listening_life_) return true;  // nothing else changes within a life
  if (peer.peer_number.load(std::memory_order_relaxed) != number_) return false;
  if (peer.peer_port.load(std::memory_order_relaxed) != static_cast<int32_t>(record_.port))
    return false;
  if (static_cast<int32_t>(peer.port) != record_.peer_port.load(std::memory_order_relaxed))
    return false;
  if (peer.type != peer_type_of(record_.type)) return false;
  // An unreliable receiver takes the first packet of any message; a reliable one the expected
  // packet.
  if (reliable() && peer.receive_psn.load(std::memory_order_relaxed) !=
                        record_.send_psn.load(std::memory_order_relaxed)) {
    return false;
  }
  listening_life_ = life;
  return true;
}

bool QueuePair::path_open() {
  look_at_topology();
  return reachable_ && peer_listens();
}

void QueuePair::ring_peer(bool only_if_asleep) const {
  ring_owner(peer_record().owner.load(std::memory_order_acquire), only_if_asleep);
  if (!extended_reliable() || completed_ == posted_) return;
  if (const layout::SharedQueue* named = named_by(send_at(completed_))) {
    ring_owner(named->owner.load(std::memory_order_acquire), only_if_asleep);
  }
}

void QueuePair::ring_owner(uint32_t owner, bool only_if_asleep) const {
  if (owner == 0) return;
  layout::Process& process = segment().process(owner - 1);
  if (!only_if_asleep || process.helper_asleep.load(std::memory_order_acquire) != 0) {
    platform::ring_bell(process.doorbell);
  }
}

int QueuePair::offered(const fabric::Profile& profile, ibv_qp_type type, ibv_wr_opcode opcode) {
  bool datagram = type == IBV_QPT_UD, reliable = !datagram && type != IBV_QPT_UC;
  if (type == IBV_QPT_XRC_RECV) return EINVAL;
  switch (opcode) {
    case IBV_WR_SEND:
    case IBV_WR_SEND_WITH_IMM:
      return 0;
    case IBV_WR_RDMA_WRITE:
    case IBV_WR_RDMA_WRITE_WITH_IMM:
      return datagram ? EINVAL : profile.one_sided ? 0 : profile.operation_error;
    case IBV_WR_RDMA_READ:
      return !reliable ? EINVAL : profile.one_sided ? 0 : profile.operation_error;
    case IBV_WR_ATOMIC_CMP_AND_SWP:
    case IBV_WR_ATOMIC_FETCH_AND_ADD:
      return !reliable ? EINVAL : profile.atomics ? 0 : profile.operation_error;
    case IBV_WR_SEND_WITH_INV:
    case IBV_WR_LOCAL_INV:
    case IBV_WR_BIND_MW:
      return datagram ? EINVAL : profile.windows ? 0 : profile.operation_error;
    default:
      return EINVAL;
  }
}

int QueuePair::check(const ibv_send_wr& request, uint64_t* bytes) const {
  const fabric::Profile& profile = profile_;
  if (int error = offered(profile, qp_base.qp_type, request.opcode)) return error;
  *bytes = 0;
  if (!local(request.opcode)) {
    if (request.num_sge < 0 || static_cast<uint32_t>(request.num_sge) > cap_.max_send_sge)
      return EINVAL;
    for (int i = 0; i < request.num_sge; ++i) *bytes += request.sg_list[i].length;
  }
  uint64_t most = datagrams() ? uint64_t{128} << profile.mtu : profile.max_message_bytes;
  if (*bytes > most) return EINVAL;
  if (datagrams() && (!request.wr.ud.ah || request.wr.ud.ah->pd != qp_base.pd)) return EINVAL;
  if (atomic(request.opcode) && *bytes != sizeof(uint64_t)) return EINVAL;
  if (request.send_flags & IBV_SEND_INLINE) {
    bool sends = request.opcode != IBV_WR_RDMA_READ && !atomic(request.opcode);
    if (!sends || *bytes > cap_.max_inline_data) return EINVAL;
  }
  return 0;
}

// A request's place is free when its completion has been read, and that of an unsignaled one when a
// later completion has: until then nothing tells the program that it is done (InfiniBand
// specification 10.8.5).
bool QueuePair::has_room(uint32_t units) {
  if (used_units_ + units <= cap_.max_send_wr) [[likely]]
    return true;
  uint64_t read = send_queue()->read();
  for (uint64_t i = released_; i != completed_; ++i) {
    uint64_t completion = send_at(i).completion;
    if (completion > read) break;
    if (completion == 0) continue;
    for (; released_ != i + 1; ++released_) used_units_ -= send_at(released_).units;
  }
  return used_units_ + units <= cap_.max_send_wr;
}

int QueuePair::check_all(const ibv_send_wr* requests) {
  uint32_t units = 0;
  for (const ibv_send_wr* request = requests; request; request = request->next) {
    uint64_t bytes = 0;
    if (int error = check(*request, &bytes)) return error;
    units += units_of(bytes);
  }
  return has_room(units) ? 0 : profile().over_post_error;
}

int QueuePair::post_send(ibv_send_wr* requests, ibv_send_wr** bad) {
  uint64_t now = 0;
  uint64_t count = 0;
  int error = 0;
  for (ibv_send_wr* request = requests; request && error == 0; request = request->next) {
    if (send_short(*request, now)) [[likely]] {
      ++count;
      continue;
    }
    if (now == 0) now = segment().now_ticks();
    uint64_t bytes = 0;
    ibv_qp_state state = qp_base.state;
    error = state < IBV_QPS_RTS ? EINVAL : check(*request, &bytes);
    uint32_t units = units_of(bytes);
    if (error == 0 && !has_room(units)) error = profile().over_post_error;
    if (error != 0) {
      *bad = request;
      break;
    }
    Send& send = enqueue(*request, bytes, units);
    if (segment().header().gate.load(std::memory_order_relaxed) & layout::kGateMemory) {
      remember(*request, send);
    }
    if (state == IBV_QPS_ERR || state == IBV_QPS_SQE) {
      complete_send(send, IBV_WC_WR_FLUSH_ERR);
    } else if (failing_) {
      // It follows a request that fails, and is flushed with all that do.
    } else if (stalls(send)) {
      send.ready_ticks = ~uint64_t{0};
      failing_ = true;
    } else if (local(request->opcode)) {
      send.failure = act_locally(*request);
    } else if (datagrams()) {
      send.failure = send_datagram(*request, now);
    } else if (put_on_wire(*request, send, now)) {
      wake_peer_for(send);
    }
    failing_ = failing_ || send.failure != IBV_WC_SUCCESS;
    if (attachment().tracing()) {
      attachment().trace({layout::TraceKind::post_send, number_, message_of(send, posted_ - 1),
                          posted_ - 1, bytes, static_cast<uint32_t>(send.opcode), now});
    }
    ++count;
  }
  if (count != 0) {
    record_.posted.store(posted_, std::memory_order_relaxed);
    attachment().note_progress(now, count);
    // What is complete already, as datagrams are and requests that failed, nobody else would tell
    // of.
    if (send_queue()->armed()) progress_sends();
  }
  return error;
}

// The number that its traces give a message.
uint64_t QueuePair::message_of(const Send& send, uint64_t request) const {
  if (datagrams()) return layout::datagram_number(number_, request);
  if (!send.on_wire) return 0;
  return layout::stamp_of(record_.connection.load(std::memory_order_relaxed), send.wire);
}

// Whether the device stalls on this message because too many long ones are in flight.
bool QueuePair::stalls(const Send& latest) {
  uint32_t most = profile().multi_frame_in_flight;
  if (most == 0 || latest.units == 1) [[likely]]
    return false;
  uint32_t long_ones = 0;
  for (uint64_t i = completed_; i != posted_; ++i) long_ones += send_at(i).units > 1;
  return long_ones > most;
}

// False: the message is on no wire. It will never arrive anywhere, its request is wrong, or it has
// been carried out.
bool QueuePair::put_on_wire(const ibv_send_wr& request, Send& send, uint64_t ticks) {
  bool open = path_open();
  if (!open && broken_since(segment(), static_cast<int32_t>(record_.port)) != 0) {
    send.failure = IBV_WC_WR_FLUSH_ERR;
    return false;
  }
  bool waits = peer_decides();
  bool shaped = open && links_matter(segment());
  if (shaped || (!open && !waits)) {
    // Wrong memory is found before anything can be lost.
    Pieces pieces;
    send.failure = collect(request, pieces);
    if (send.failure != IBV_WC_SUCCESS) return false;
  }
  if (!open && !waits) {
    record_.lost.store(record_.lost.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    attachment().trace({layout::TraceKind::lost, number_, 0, posted_ - 1, send.bytes});
    return false;
  }
  uint64_t life = peer_record().life.load(std::memory_order_relaxed);
  if (open && life != peer_life_) {
    if (peer_life_ != 0 && !reliable()) start_connection();
    if (peer_life_ == 0 || !reliable()) peer_life_ = life;
  }
  if (open && reach(request, send, ticks)) return false;  // done, and on no wire
  Passage passage{ticks, ticks};
  if (shaped && !pass(send, ticks, passage)) return false;
  layout::Slot& slot = free_slot();
  describe(request, send.bytes, passage.arrival_ticks, slot);
  if (passage.corrupted) slot.flags |= layout::kCorrupted;
  if (!open) slot.flags |= layout::kStranded;
  if (atomic(request.opcode)) {
    slot.remote_address = request.wr.atomic.remote_addr;
    slot.remote_key = request.wr.atomic.rkey;
  } else if (one_sided(request.opcode)) {
    slot.remote_address = request.wr.rdma.remote_addr;
    slot.remote_key = request.wr.rdma.rkey;
  }
  if (extended_reliable())
    layout::shared_queue_word(slot, record_.slot_bytes) = request.qp_type.xrc.remote_srqn;
  send.failure = load(request, send, slot);
  if (send.failure != IBV_WC_SUCCESS) return false;
  slot.carriage = send.carriage;
  send.wire = publish(slot);
  send.on_wire = true;
  return true;
}

// The target's verbs calls settle a message; where it may not make any, its helper must.
void QueuePair::wake_peer_now(const Send& send) const {
  const layout::QueuePair& peer = peer_record();
  const layout::SharedQueue* named = extended_reliable() ? named_by(send) : nullptr;
  const layout::Shared<uint32_t>& their_attention = named ? named->attention : peer.attention;
  uint32_t attention = their_attention.load(std::memory_order_relaxed) |
                       record_.attention.load(std::memory_order_relaxed);
  bool aside = one_sided(send.opcode);
  if (!aside && !(attention & layout::kHasChannel)) return;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  uint32_t owner = (named ? named->owner : peer.owner).load(std::memory_order_acquire);
  if (their_attention.load(std::memory_order_relaxed) & layout::kArmed) {
    ring_owner(owner, false);
  } else if (aside || (record_.attention.load(std::memory_order_relaxed) & layout::kArmed)) {
    ring_owner(owner, true);
  }
}

// Sends a message over links that shape it; false: it never arrives. A reliable one is sent again
// after its time-out, as often as it may.
bool QueuePair::pass(Send& send, uint64_t ticks, Passage& passage) {
  auto from = static_cast<int32_t>(record_.port);
  int32_t to = record_.peer_port.load(std::memory_order_relaxed);
  bool answered = send.opcode == IBV_WR_RDMA_READ || atomic(send.opcode);
  bool checked = profile().checks_integrity;
  uint64_t timeout =
      segment().ticks_in_ns(4096.0 * static_cast<double>(uint64_t{1} << attributes_.timeout));
  for (int tries = 0;; ++tries) {
    passage = pass_links(attachment(), from, to, number_, answered ? 0 : send.bytes, ticks);
    bool arrives = !passage.lost && !(passage.corrupted && checked);
    if (arrives) break;
    if (!reliable()) {
      send.ready_ticks = passage.left_ticks;
      record_.lost.store(record_.lost.load(std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
      attachment().trace({layout::TraceKind::lost, number_, 0, posted_ - 1, send.bytes});
      return false;
    }
    ticks += timeout;
    if (tries == attributes_.retry_cnt) {
      send.failure = IBV_WC_RETRY_EXC_ERR;
      send.ready_ticks = ticks;
      return false;
    }
  }
  // Messages of a connection stay in order, whatever was delayed.
  if (!(passage.arrival_ticks & layout::kHeld)) {
    passage.arrival_ticks = std::max(passage.arrival_ticks, latest_arrival_);
    latest_arrival_ = passage.arrival_ticks;
  }
  send.ready_ticks = passage.left_ticks;
  if (reliable() && !(passage.arrival_ticks & layout::kHeld)) {
    // The acknowledgement, or the answer with its data, comes the way back.
    send.ready_ticks = pass_links(attachment(), to, from, number_, answered ? send.bytes : 0,
                                  passage.arrival_ticks)
                           .arrival_ticks;
  }
  return true;
}

// How many messages of this connection are decided.
uint64_t QueuePair::read_settled() {
  const layout::QueuePair& peer = peer_record();
  if (peer.adopted.load(std::memory_order_acquire) ==
      record_.connection.load(std::memory_order_relaxed)) {
    settled_ = peer.settled.load(std::memory_order_acquire);
  }
  if (!peer_decides() && settled_ != on_wire_ && !peer_listens()) {
    settled_ = on_wire_;  // lost, of which nobody tells
  }
  return settled_;
}

// Whether a shaped link still carries the message.
bool QueuePair::under_way(const Send& send) const {
  return send.ready_ticks != 0 && send.ready_ticks > segment().now_ticks();
}

bool QueuePair::may_complete(const Send& send, uint64_t settled) const {
  if (under_way(send)) return false;
  if (send.failure != IBV_WC_SUCCESS) return true;
  if (send.on_wire && send.wire < settled) return true;
  // An unreliable sender is done when the message has left it, and its memory with it.
  if (!pending_.empty()) return false;  // datagrams complete in order, and when they have left
  bool left = !send.on_wire || (!peer_decides() && send.carriage != layout::Carriage::gather);
  return left && completed_ - reclaimed_ < (send_mask_ + 1) / 2;
}

bool QueuePair::complete_sends(bool check_peer) {
  if (datagrams()) retry_datagrams();
  uint64_t before = completed_;
  bool looks = check_peer || datagrams() || peer_decides() || many_outstanding();
  uint64_t settled = datagrams() ? 0 : looks ? read_settled() : settled_;
  while (completed_ != posted_) {
    const Send& send = send_at(completed_);
    if (!may_complete(send, settled)) {
      if (datagrams()) break;
      const layout::QueuePair& peer = peer_record();
      if (send.on_wire && peer.refused_at.load(std::memory_order_acquire) == send.wire + 1 &&
          peer.adopted.load(std::memory_order_acquire) ==
              record_.connection.load(std::memory_order_relaxed)) {
        complete_send(send, static_cast<ibv_wc_status>(peer.refused_status.load()));
      } else if (reliable() && send.on_wire && (check_peer || closed_since_ != 0) && timed_out()) {
        complete_send(send, IBV_WC_RETRY_EXC_ERR);
      } else {
        break;
      }
      enter_error(false);
      break;
    }
    ibv_wc_status status = outcome(send);
    complete_send(send, status);
    if (status != IBV_WC_SUCCESS) fail_sends();
  }
  for (; reclaimed_ != completed_; ++reclaimed_) {
    Send& send = send_at(reclaimed_);
    if (send.on_wire && send.wire >= settled && qp_base.state != IBV_QPS_ERR) break;
    if (send.staging_mark != 0) staging_.give_back(send.staging_mark);
    if (send.block_bytes != 0) segment().release(send.staged_at, send.block_bytes);
    send.block_bytes = 0;
  }
  if (completed_ != before) {
    const Send& latest = send_at(completed_ - 1);
    if (latest.on_wire && one_sided(latest.opcode)) patience_.waited(stalled_polls_, latest.bytes);
    stalled_polls_ = 0;
    closed_since_ = 0;
    return true;
  }
  // What is still on its way keeps nobody waiting.
  if (looks && !under_way(send_at(completed_)) && stalled()) {
    ring_peer(true);
    look_for_death();
  }
  return false;
}

// Whether it is time again to ask why nothing completes.
bool QueuePair::stalled() {
  if (++stalled_polls_ % kStalledPollsPerClock != 0) return false;
  uint64_t now = platform::ticks();
  if (stalled_polls_ == kStalledPollsPerClock) stalled_since_ = now;
  bool long_since = now - stalled_since_ >= segment().ticks_in_ns(kStalledNs);
  if (!long_since && stalled_polls_ % kStalledPolls != 0) return false;
  stalled_since_ = now;
  return true;
}

// What the peer has taken, or what has left an unreliable sender, is done, though nobody has looked
// since: it is not flushed with the rest.
void QueuePair::complete_settled() {
  if (datagrams()) return;
  uint64_t settled = read_settled();
  while (completed_ != posted_) {
    const Send& send = send_at(completed_);
    bool taken = send.failure == IBV_WC_SUCCESS &&
                 (!peer_decides() || (send.on_wire && send.wire < settled));
    if (!taken || !may_complete(send, settled)) return;
    complete_send(send, outcome(send));
  }
}

ibv_wc_status QueuePair::outcome(const Send& send) {
  if (send.failure != IBV_WC_SUCCESS) return send.failure;
  bool answered = send.opcode == IBV_WR_RDMA_READ || atomic(send.opcode);
  if (answered && send.carriage == layout::Carriage::staged) {
    return finish_read(send);
  }
  return IBV_WC_SUCCESS;
}

void QueuePair::complete_send(const Send& send, ibv_wc_status status) {
  if (status == IBV_WC_SUCCESS && changed(send)) record_.changed_in_flight.fetch_add(1);
  ++completed_;
  awaited_ -= send.signaled;
  record_.completed.store(completed_, std::memory_order_relaxed);
  if (attachment().tracing()) {
    attachment().trace({layout::TraceKind::send_done, number_, message_of(send, completed_ - 1),
                        completed_ - 1, send.bytes, static_cast<uint32_t>(status)});
  }
  if (status != IBV_WC_SUCCESS && status != IBV_WC_WR_FLUSH_ERR) {
    record_.errors.store(record_.errors.load() + 1);
    record_.last_error.store(status);
  }
  if (!send.signaled && status == IBV_WC_SUCCESS) return;
  ibv_wc& wc = send_queue()->add();
  wc.wr_id = send.id;
  wc.status = status;
  wc.opcode = completion_opcode(send.opcode);
  wc.byte_len = send.bytes;
  wc.qp_num = number_;
  send_queue()->publish(wc, false);
  send_at(completed_ - 1).completion = send_queue()->written();
}

// The error is in a request of one's own: a reliable connection is done for, while others' receives
// go on (InfiniBand specification 10.3.1: send queue error).
void QueuePair::fail_sends() {
  if (reliable()) return enter_error(false);
  set_state(IBV_QPS_SQE);
  flush_sends();
}

}  // namespace railyard::sim
