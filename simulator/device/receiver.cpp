// The receiver's half of a queue pair: what becomes of the messages in the peer's ring. A message
// meets the oldest receive that was posted before it arrived; the profile says what happens when
// there is none. All is decided by the times that messages and receives carry, whoever looks first.
#include <cerrno>
#include <csignal>
#include <cstring>

#include "device/context.h"
#include "device/gate.h"
#include "device/link.h"
#include "device/message_path.h"
#include "device/payload.h"
#include "device/queue_pair.h"
#include "device/reach.h"
#include "device/shared_receive_queue.h"
#include "fabric/topology.h"
#include "platform/doorbell.h"
#include "platform/ticks.h"

namespace railyard::sim {

using fabric::NoReceive;

namespace {

// Messages settled in one look, so that a flood does not keep its receiver from its own program.
constexpr int kBatch = 256;
// And their payload: who gets the first of many long ones at once can have the next sent while the
// others are copied.
constexpr uint64_t kBatchBytes = 64 * 1024;

constexpr int kLooksForTime = 256;

bool takes_receive(uint8_t opcode) {
  return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM ||
         opcode == IBV_WR_SEND_WITH_INV || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

// InfiniBand specification, table 45: RNR NAK timer field, in microseconds.
constexpr uint32_t kRnrTimerUs[32] = {655360, 10,    20,    30,     40,     60,     80,     120,
                                      160,    240,   320,   480,    640,    960,    1280,   1920,
                                      2560,   3840,  5120,  7680,   10240,  15360,  20480,  30720,
                                      40960,  61440, 81920, 122880, 163840, 245760, 327680, 491520};
constexpr uint32_t kRetriesForEver = 7;

}  // namespace

int QueuePair::post_receive(ibv_recv_wr* requests, ibv_recv_wr** bad) {
  const fabric::Profile& profile = profile_;
  // What is not on the ring yet arrives after a receive that is posted now: no need of a clock to
  // know.
  uint64_t now = nothing_arrived() ? 0 : segment().now_ticks();
  uint64_t count = 0;
  int error = 0;
  if (profile.unplugged_receive_crashes &&
      !port_active(segment(), static_cast<int32_t>(record_.port))) {
    raise(SIGSEGV);
  }
  for (ibv_recv_wr* request = requests; request; request = request->next) {
    uint64_t bytes = 0;
    uint32_t units = 1;
    bool spoiled = false;
    if (receive_error_ != 0) {
      error = receive_error_;
    } else if (request->num_sge < 0 ||
               static_cast<uint32_t>(request->num_sge) > cap_.max_recv_sge) {
      error = EINVAL;
    } else {
      if (request->num_sge == 1) [[likely]]
        bytes = request->sg_list->length;
      else
        for (int i = 0; i < request->num_sge; ++i) bytes += request->sg_list[i].length;
      units = units_of(bytes);
      spoiled = !own_receives_.has_room(units);
      if (spoiled && profile.over_post == fabric::OverPost::refuse) error = profile.over_post_error;
    }
    if (error != 0) {
      *bad = request;
      break;
    }
    bool swallowed = spoiled && profile.over_post == fabric::OverPost::swallow;
    if (!swallowed) {
      own_receives_.push(request->wr_id, now, bytes, units, request->sg_list, request->num_sge,
                         spoiled);
    }
    if (attachment().tracing()) [[unlikely]]
      trace_receive(count, bytes, now);
    ++count;
  }
  if (count == 0) return error;
  add(record_.receives_posted, count);
  if (record_.dropped.load(std::memory_order_relaxed) != 0 &&
      record_.receive_after_drop_ticks.load(std::memory_order_relaxed) == 0) {
    record_.receive_after_drop_ticks.store(segment().now_ticks(), std::memory_order_relaxed);
  }
  attachment().count_progress(count);
  if (qp_base.state == IBV_QPS_ERR) flush_receives();
  if (holding_) progress_receives();
  return error;
}

void QueuePair::trace_receive(uint64_t before_it, uint64_t bytes, uint64_t ticks) const {
  attachment().trace({layout::TraceKind::post_receive, number_, 0,
                      record_.receives_posted.load() + before_it, bytes, 0, ticks});
}

// Finds the ring of the peer that talks to this queue pair.
void QueuePair::adopt() {
  const layout::QueuePair& peer = peer_record();
  uint64_t connection = peer.connection.load(std::memory_order_acquire);
  uint32_t owner = peer.owner.load(std::memory_order_acquire);
  if (connection == 0 || owner == 0 || connection == adopted_ || peer.ring == 0) return;
  if (peer.peer_number.load() != number_ || peer.type != peer_type_of(record_.type) ||
      peer.peer_port.load() != static_cast<int32_t>(record_.port) ||
      static_cast<int32_t>(peer.port) != record_.peer_port.load()) {
    return;
  }
  // Adopted before a reset: a reliable sender's PSNs are out of step now, and nobody gets again
  // what came then.
  bool again = connection == record_.adopted.load(std::memory_order_relaxed);
  bool by_sharer = shared_receiver() && again && record_.adopted_life.load() == adopted_life_;
  if (again && reliable() && !by_sharer) return;
  const layout::Process& process = segment().process(owner - 1);
  bool same_process = owner - 1 == attachment().process();
  peer_owner_ = owner;
  peer_pid_ = same_process ? 0 : process.pid;
  ring_ = segment().bytes_at(peer.ring);
  ring_mask_ = peer.ring_mask;
  slot_bytes_ = peer.slot_bytes;
  adopted_ = connection;
  await(again ? record_.settled.load(std::memory_order_relaxed) : 0);
  last_settled_ticks_ = by_sharer ? record_.settled_ticks.load(std::memory_order_relaxed) : 0;
  refusing_ = holding_ = peer_moves_ = false;
  if (by_sharer) return;
  record_.adopted_life.store(adopted_life_, std::memory_order_relaxed);
  record_.settled_ticks.store(0, std::memory_order_relaxed);
  record_.settled.store(next_, std::memory_order_relaxed);
  record_.refused_at.store(0, std::memory_order_relaxed);
  record_.can_copy.store(same_process || proves_readable(process), std::memory_order_relaxed);
  record_.adopted.store(connection, std::memory_order_release);
}

bool QueuePair::settle_what_arrived() {
  if (shared_receiver()) return progress_shared();
  if (!receiving() || qp_base.qp_type == IBV_QPT_XRC_SEND) return false;
  return datagrams() ? progress_datagrams() : settle_arrivals();
}

bool QueuePair::settle_arrivals() {
  int settled = 0;
  uint64_t bytes = 0;
  while (settled < kBatch && bytes < kBatchBytes) {
    if (adopted_ == 0) adopt();
    if (adopted_ == 0) break;
    const layout::Slot& slot = next_slot();
    if (!arrived(slot)) {
      uint64_t before = adopted_;
      if (peer_record().connection.load(std::memory_order_relaxed) != before) adopt();
      if (adopted_ == before) break;
      continue;
    }
    if (record_.refused_at.load(std::memory_order_relaxed) != 0) break;
    if (shared_receiver() && !is_mine(slot)) break;
    std::optional<Verdict> verdict = settle_short(slot);
    if (!verdict) verdict = settle(slot);
    if (*verdict == Verdict::waiting) {
      uint64_t before = adopted_;
      if (withdrawn()) adopt();
      if (adopted_ == before) break;
      continue;
    }
    if (attachment().tracing() && !takes_receive(slot.opcode)) {
      attachment().trace(
          {layout::TraceKind::arrived, number_, stamp(), 0, slot.bytes, slot.opcode});
    }
    bytes += slot.bytes;
    await(next_ + 1);
    ++settled;
    last_settled_ticks_ =
        std::max(last_settled_ticks_,
                 arrival_of(segment(), slot.arrival_ticks.load(std::memory_order_relaxed)));
    refusing_ = holding_ = false;
    if (shared_receiver())
      record_.settled_ticks.store(last_settled_ticks_, std::memory_order_relaxed);
    record_.settled.store(next_, std::memory_order_release);
    if (!receiving()) break;
  }
  if (settled == 0) return false;
  add(record_.messages_in, static_cast<uint64_t>(settled));
  attachment().count_progress(static_cast<uint64_t>(settled));
  if (peer_record().attention.load(std::memory_order_relaxed) & layout::kHasChannel) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (peer_record().attention.load(std::memory_order_relaxed) & layout::kArmed) ring_peer(false);
  }
  return true;
}

bool QueuePair::arrival_without_receive() {
  if (!receiving()) return false;
  progress_receives();
  if (datagrams() || adopted_ == 0 || !receives().empty()) return false;
  return record_.dropped.load(std::memory_order_relaxed) != 0 || !nothing_arrived();
}

// When the sender put the message there, which it writes a moment later than its stamp. A sender
// that loses its core in between, or its life, is not waited for.
uint64_t QueuePair::arrival_at(const layout::Slot& slot) const {
  for (int looks = 0; looks < kLooksForTime; ++looks) {
    uint64_t ticks = slot.arrival_ticks.load(std::memory_order_relaxed);
    if (ticks != 0) return ticks;
    platform::relax();
  }
  return segment().now_ticks();
}

QueuePair::Verdict QueuePair::settle(const layout::Slot& slot) {
  uint64_t arrived = arrival_at(slot);
  if (links_matter(segment())) {
    arrived = arrival_of(segment(), arrived);
    underway_ = arrived > segment().now_ticks();
    if (underway_) return Verdict::waiting;
  }
  // What waits its turn behind another message arrives after it.
  uint64_t arrival = std::max(arrived, last_settled_ticks_);
  look_at_topology();
  bool stranded = slot.flags & layout::kStranded;
  if (!reachable_ && (stranded || arrived >= unreachable_from_)) return Verdict::waiting;
  if (stranded && withdrawn())
    return Verdict::waiting;  // its sender has given up before there was a way
  bool named = extended_reliable() && find_shared_queue(slot);
  if (extended_reliable() && !named && takes_receive(slot.opcode)) {
    refuse(IBV_WC_REM_INV_REQ_ERR);
    return Verdict::waiting;
  }
  switch (slot.opcode) {
    case IBV_WR_RDMA_WRITE:
    case IBV_WR_RDMA_WRITE_WITH_IMM:
      return settle_write(slot, arrival);
    case IBV_WR_RDMA_READ:
      return settle_read(slot);
    case IBV_WR_ATOMIC_CMP_AND_SWP:
    case IBV_WR_ATOMIC_FETCH_AND_ADD:
      return settle_atomic(slot);
    default:
      return settle_send(slot, arrival);
  }
}

// A message that waits is its sender's to try again: one that has failed or begun anew does not.
bool QueuePair::withdrawn() const {
  return peer_record().connection.load(std::memory_order_acquire) != adopted_;
}

// Settled: the oldest receive is the message's. Waiting: not now, or never (then it has been
// refused or the queue pair is in error). Messages to drop do not come here: see drops().
QueuePair::Verdict QueuePair::meet_receive(uint64_t arrival) {
  const ReceiveQueue& queue = receives();
  bool late = queue.empty() || queue.front().posted_ticks > arrival;
  if (!late) [[likely]]
    return Verdict::settled;
  if (withdrawn()) return Verdict::waiting;
  if (reliable()) return not_ready(arrival);
  switch (profile().unreliable_no_receive) {
    case NoReceive::hold:
      holding_ = receives().empty();
      return holding_ ? Verdict::waiting : Verdict::settled;
    case NoReceive::drop:
      return Verdict::waiting;
    case NoReceive::fail:
      enter_error(true);
      return Verdict::waiting;
  }
  return Verdict::waiting;
}

// A reliable sender tries again at fixed intervals after the arrival, as often as it may: the
// receive that the k-th try meets was posted after the try before.
QueuePair::Verdict QueuePair::not_ready(uint64_t arrival) {
  if (!refusing_) add(record_.not_ready);
  refusing_ = true;
  uint32_t retries = peer_record().retries.load(std::memory_order_relaxed) & 0xff;
  uint64_t interval = retry_interval();
  uint64_t now = segment().now_ticks();
  uint64_t posted = receives().empty() ? now : receives().front().posted_ticks;
  uint64_t tries = (posted - std::min(arrival, posted) + interval - 1) / interval;
  if (retries != kRetriesForEver && tries > retries) {
    refuse(IBV_WC_RNR_RETRY_EXC_ERR);
    return Verdict::waiting;
  }
  uint64_t due = arrival + tries * interval;
  if (receives().empty() || now < due) return Verdict::waiting;
  last_settled_ticks_ = due;
  return Verdict::settled;
}

uint64_t QueuePair::retry_interval() const {
  return std::max<uint64_t>(
      1, segment().ticks_in_ns(1000.0 * kRnrTimerUs[attributes_.min_rnr_timer & 31]));
}

void QueuePair::drop(uint64_t arrival, uint64_t message) {
  add(record_.dropped);
  record_.dropped_ticks.store(arrival, std::memory_order_relaxed);
  uint64_t posted_later = receives().empty() ? 0 : receives().front().posted_ticks;
  record_.receive_after_drop_ticks.store(posted_later, std::memory_order_relaxed);
  attachment().trace({layout::TraceKind::lost, number_, message, next_, 0, 1});
}

bool QueuePair::drops(uint64_t arrival) const {
  return !reliable() && profile().unreliable_no_receive == NoReceive::drop &&
         (receives().empty() || receives().front().posted_ticks > arrival);
}

QueuePair::Verdict QueuePair::settle_send(const layout::Slot& slot, uint64_t arrival) {
  if (drops(arrival)) return drop(arrival, stamp()), Verdict::settled;
  if (meet_receive(arrival) == Verdict::waiting) return Verdict::waiting;
  const Receive& receive = receives().front();
  uint32_t sent = layout::read_once(slot.bytes);
  uint32_t frame = profile().frame_bytes;
  auto frames = [frame](uint64_t bytes) {
    return bytes <= frame ? 1 : (bytes + frame - 1) / frame;
  };
  bool mismatched = frame != 0 && frames(sent) != frames(receive.bytes);
  if (mismatched) add(record_.frame_mismatches);
  ibv_wc_status status = IBV_WC_LOC_LEN_ERR;
  if (sent <= receive.bytes && !mismatched) {
    // The rest of a message whose sender died never comes; the receive stays for another.
    if (!place(slot, sent, status)) return Verdict::waiting;
  }
  if (status == IBV_WC_SUCCESS && slot.opcode == IBV_WR_SEND_WITH_INV &&
      !owner_.regions.invalidate(slot.immediate, qp_base.pd)) {
    return forbid();
  }
  if (!complete_receive(slot, sent, status, IBV_WC_RECV)) return Verdict::waiting;
  if (status == IBV_WC_SUCCESS) return Verdict::settled;
  if (reliable()) {
    refuse(status == IBV_WC_LOC_LEN_ERR ? IBV_WC_REM_INV_REQ_ERR : IBV_WC_REM_OP_ERR);
  }
  enter_error(false);
  return reliable() ? Verdict::waiting : Verdict::settled;
}

// Brings a message's payload to its place; 0 or an errno as of copy_from_peer().
int QueuePair::fetch(const layout::Slot& slot, const Pieces& here) {
  if (slot.carriage != layout::Carriage::gather) {
    const std::byte* payload = payload_in(slot, here.bytes());
    if (!payload) return ESRCH;
    return here.scatter_from(payload), 0;
  }
  return copy_from_peer(here, Pieces::listed(slot.body, slot.pieces));
}

ibv_wc_status QueuePair::places(const Receive& receive, const ibv_sge* pieces, uint64_t bytes,
                                Pieces& out) const {
  uint64_t left = bytes;
  for (int i = 0; i < receive.pieces && left > 0; ++i) {
    if (pieces[i].length == 0) continue;
    const Region* region = owner_.regions.find(pieces[i].lkey);
    if (!region || region->domain != receive_domain() ||
        !(region->access & IBV_ACCESS_LOCAL_WRITE) ||
        !region->covers(pieces[i].addr, pieces[i].length)) {
      return IBV_WC_LOC_PROT_ERR;
    }
    uint64_t part = std::min<uint64_t>(left, pieces[i].length);
    out.add(region->at(pieces[i].addr), part);
    left -= part;
  }
  return IBV_WC_SUCCESS;
}

// Brings a message to the receive that it meets, whose status it sets; false: not now, or it was
// never complete.
bool QueuePair::place(const layout::Slot& slot, uint32_t bytes, ibv_wc_status& status) {
  const ReceiveQueue& queue = receives();
  Pieces here;
  status = places(queue.front(), queue.front_pieces(), bytes, here);
  if (status != IBV_WC_SUCCESS) return true;
  if (int error = fetch(slot, here)) {
    status = IBV_WC_GENERAL_ERR;
    return error != ESRCH && error != EAGAIN;
  }
  if ((slot.flags & layout::kCorrupted) || queue.front().spoiled) here.flip_a_bit();
  return true;
}

const ibv_pd* QueuePair::receive_domain() const { return shared_ ? shared_->pd : qp_base.pd; }

// The sender finds the answer when it looks how far its messages are settled.
void QueuePair::refuse(ibv_wc_status status) {
  record_.refused_status.store(status, std::memory_order_relaxed);
  record_.refused_at.store(next_ + 1, std::memory_order_release);
  refusing_ = false;
}

}  // namespace railyard::sim
