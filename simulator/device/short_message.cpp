// Short messages go a shorter way where nothing unusual can happen to them, as hardly ever anything
// does: a SEND of one piece that its slot or the staging ring has room for, on a fabric where
// nothing is armed, traced or shaped. Each function here asks first whether that is so, all at
// once, and then does what the long way in sender.cpp and receiver.cpp would do; where it is not,
// it has done nothing. Whoever wants to see every message go the long way arms a trace.
//
// The answers are marked as unlikely: what comes behind so many questions compilers take for rare
// otherwise, and make it small rather than fast.
#include <algorithm>
#include <cstring>

#include "device/context.h"
#include "device/message_path.h"
#include "device/payload.h"
#include "device/queue_pair.h"
#include "platform/ticks.h"

namespace railyard::sim {

namespace {

// So many bytes of a payload are asked for at once; the processor sees by itself that a longer one
// goes on.
constexpr uint64_t kReadAhead = 512;

bool sends(uint32_t opcode) { return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM; }

}  // namespace

// How long a message may be that travels in its slot, or in the staging ring, and takes one unit of
// every queue; 0: none of this queue pair goes this way.
void QueuePair::measure_short() {
  bool connected = !datagrams() && !extended_reliable();
  slot_room_ = record_.slot_bytes - payload_offset(IBV_WR_SEND);
  short_bytes_ = connected ? uint64_t{Staging::kLargest} : 0;
  for (uint64_t most : {uint64_t{profile().depth_unit_bytes}, uint64_t{profile().frame_bytes},
                        profile().max_message_bytes}) {
    if (most != 0) short_bytes_ = std::min(short_bytes_, most);
  }
}

bool QueuePair::on_plain_way() const {
  const layout::SegmentHeader& header = segment().header();
  return header.gate.load(std::memory_order_relaxed) == 0 &&
         header.topology_epoch.load(std::memory_order_acquire) == topology_epoch_ && reachable_;
}

// First the message is sent on its way, then written down what has to be known of it here. So is
// the time: nothing else takes as long to ask for, and the peer hardly ever does.
bool QueuePair::send_short(const ibv_send_wr& request, uint64_t& ticks) {
  if (!sends(request.opcode) || request.num_sge != 1) [[unlikely]]
    return false;
  const ibv_sge& sge = *request.sg_list;
  if (sge.length == 0 || sge.length > short_bytes_) [[unlikely]]
    return false;
  if (qp_base.state != IBV_QPS_RTS || failing_ || !on_plain_way()) [[unlikely]]
    return false;
  layout::Slot& slot = free_slot();
  bool fits = sge.length <= slot_room_;
  platform::will_write(&slot, fits ? payload_offset(IBV_WR_SEND) + sge.length : sizeof slot);
  uint64_t life = peer_record().life.load(std::memory_order_acquire);
  if (life == 0 || life != peer_life_ || life != listening_life_ || peer_dead_) [[unlikely]]
    return false;
  const std::byte* from = reinterpret_cast<const std::byte*>(sge.addr);
  if (request.send_flags & IBV_SEND_INLINE) {
    if (sge.length > cap_.max_inline_data) [[unlikely]]
      return false;
  } else {
    const Region* region = owner_.regions.find(sge.lkey);
    if (!region || region->domain != qp_base.pd || !region->covers(sge.addr, sge.length))
        [[unlikely]]
      return false;
    from = region->at(sge.addr);
  }
  if (!has_room(1)) [[unlikely]]
    return false;
  std::byte* place = reinterpret_cast<std::byte*>(&slot) + payload_offset(IBV_WR_SEND);
  uint64_t staged_at = 0;
  if (!fits) {
    staged_at =
        staging_.take(segment(), attachment().process(), owner_.queue_pairs.size(), sge.length);
    if (staged_at == 0) [[unlikely]]
      return false;
    place = segment().bytes_at(staged_at);
  }
  describe(request, sge.length, 0, slot);
  copy_few(place, from, sge.length);
  if (!fits) memcpy(slot.body, &staged_at, sizeof staged_at);
  layout::Carriage carriage = fits ? layout::Carriage::in_slot : layout::Carriage::staged;
  slot.carriage = carriage;
  uint64_t wire = publish(slot);
  ticks = platform::ticks();
  slot.arrival_ticks.store(ticks, std::memory_order_relaxed);
  Send& send = enqueue(request, sge.length, 1);
  send.wire = wire;
  send.on_wire = true;
  send.carriage = carriage;
  if (!fits) {
    send.staged_at = staged_at;
    send.staging_mark = staging_.mark();
  }
  wake_peer_for(send);
  return true;
}

std::optional<QueuePair::Verdict> QueuePair::settle_short(const layout::Slot& slot) {
  uint32_t bytes = layout::read_once(slot.bytes);
  if (!sends(slot.opcode) || slot.carriage == layout::Carriage::gather ||
      (slot.flags & ~layout::kSolicited) != 0 || bytes > short_bytes_ || bytes == 0) [[unlikely]] {
    return {};
  }
  const std::byte* payload = payload_in(slot, bytes);
  if (!payload) [[unlikely]]
    return {};
  platform::will_read(payload, std::min<uint64_t>(bytes, kReadAhead));
  if (shared_ || own_receives_.empty() || !on_plain_way()) [[unlikely]]
    return {};
  const Receive& receive = own_receives_.front();
  if (receive.pieces != 1 || receive.spoiled || bytes > receive.bytes) [[unlikely]]
    return {};
  if (receive.posted_ticks > last_settled_ticks_ && receive.posted_ticks > arrival_at(slot))
      [[unlikely]]
    return {};
  if (uint64_t frame = profile().frame_bytes; frame != 0 && receive.bytes > frame) [[unlikely]]
    return {};
  const ibv_sge& sge = *own_receives_.front_pieces();
  const Region* region = owner_.regions.find(sge.lkey);
  if (!region || region->domain != qp_base.pd || !(region->access & IBV_ACCESS_LOCAL_WRITE) ||
      !region->covers(sge.addr, sge.length)) [[unlikely]] {
    return {};
  }
  copy_few(region->at(sge.addr), payload, bytes);
  bool whole = complete_receive(slot, bytes, IBV_WC_SUCCESS, IBV_WC_RECV);
  return whole ? Verdict::settled : Verdict::waiting;
}

}  // namespace railyard::sim
