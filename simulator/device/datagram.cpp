// Unreliable datagrams: a message goes into the inbox of its receiver, which any number of senders
// fill and one reads. The sender is done when it is there; what meets no receive is lost.
#include "device/datagram.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "device/context.h"
#include "device/link.h"
#include "device/message_path.h"
#include "device/payload.h"
#include "device/queue_pair.h"
#include "fabric/topology.h"

namespace railyard::sim {

namespace {

constexpr int kBatch = 256;
constexpr uint32_t kLooksBeforeSuspicion = 4096;
constexpr uint32_t kControlledQkey = 0x80000000;  // in a request: use the queue pair's own

layout::Datagram& slot_at(const Segment& segment, const layout::QueuePair& receiver,
                          uint64_t ticket) {
  return *reinterpret_cast<layout::Datagram*>(
      segment.bytes_at(receiver.ring + (ticket & receiver.ring_mask) * receiver.slot_bytes));
}

std::pair<uint64_t, uint64_t> words_of(const ibv_gid& group) {
  return {group.global.subnet_prefix, group.global.interface_id};
}

bool member(const layout::QueuePair& record, const ibv_gid& group) {
  auto [prefix, id] = words_of(group);
  for (const auto& joined : record.groups) {
    if (joined[0].load() == prefix && joined[1].load() == id) return true;
  }
  return false;
}

bool takes_datagrams(const layout::QueuePair& receiver) {
  return receiver.owner.load(std::memory_order_acquire) != 0 && receiver.type == IBV_QPT_UD &&
         receiver.life.load(std::memory_order_acquire) != 0;
}

// Claims the next free slot of an inbox; nullptr: it is full.
layout::Datagram* claim(const Segment& segment, layout::QueuePair& receiver, uint32_t process,
                        uint64_t* ticket) {
  uint64_t mine = receiver.inbox_tail.load(std::memory_order_acquire);
  for (;;) {
    layout::Datagram& slot = slot_at(segment, receiver, mine);
    uint64_t expected = mine << layout::kClaimShift;
    if (slot.claim.compare_exchange_strong(expected, expected | (process + 1))) {
      uint64_t tail = mine;
      receiver.inbox_tail.compare_exchange_strong(tail, mine + 1);
      return *ticket = mine, &slot;
    }
    uint64_t there = expected >> layout::kClaimShift;
    if (there < mine) return nullptr;  // of the round before: not read yet
    uint64_t tail = mine;
    receiver.inbox_tail.compare_exchange_strong(tail, mine + 1);
    mine = std::max(mine + 1, receiver.inbox_tail.load(std::memory_order_acquire));
  }
}

}  // namespace

int QueuePair::join_group(const ibv_gid& group) {
  auto [prefix, id] = words_of(group);
  for (auto& joined : record_.groups) {
    if (joined[0].load() != 0 || joined[1].load() != 0) continue;
    joined[1].store(id);
    joined[0].store(prefix);
    return 0;
  }
  return ENOMEM;
}

int QueuePair::leave_group(const ibv_gid& group) {
  auto [prefix, id] = words_of(group);
  for (auto& joined : record_.groups) {
    if (joined[0].load() != prefix || joined[1].load() != id) continue;
    joined[0].store(0);
    joined[1].store(0);
    return 0;
  }
  return EINVAL;
}

ibv_wc_status QueuePair::send_datagram(const ibv_send_wr& request, uint64_t ticks) {
  Pieces pieces;
  if (ibv_wc_status failure = collect(request, pieces); failure != IBV_WC_SUCCESS) return failure;
  const auto& address = *static_cast<const AddressHandle*>(request.wr.ud.ah);
  std::vector<std::byte> payload(pieces.bytes());
  pieces.gather_to(payload.data());

  layout::DatagramHeader header{};
  header.arrival_ticks = ticks;
  header.bytes = static_cast<uint32_t>(payload.size());
  header.immediate = request.imm_data;
  header.source_number = number_;
  header.source_port = record_.port;
  header.qkey =
      request.wr.ud.remote_qkey & kControlledQkey ? attributes_.qkey : request.wr.ud.remote_qkey;
  header.opcode = static_cast<uint8_t>(request.opcode);
  header.flags = request.send_flags & IBV_SEND_SOLICITED ? layout::kSolicited : 0;
  header.message = layout::datagram_number(number_, posted_ - 1);
  header.service_level = address.attributes.sl;
  header.global = address.attributes.is_global;
  if (header.global) {
    const layout::Gid& own = segment().port(record_.port).gids[address.attributes.grh.sgid_index];
    memcpy(header.source_gid, own.raw, sizeof header.source_gid);
    memcpy(header.destination_gid, address.attributes.grh.dgid.raw, sizeof header.destination_gid);
  }
  auto deliver = [&](uint32_t receiver) {
    if (!pending_.empty() || !deliver_datagram(receiver, header, payload.data())) {
      pending_.push_back({receiver, header, payload});
    }
  };
  auto lose = [&] {
    record_.lost.store(record_.lost.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    owner_.attachment().trace(
        {layout::TraceKind::lost, number_, header.message, posted_ - 1, header.bytes});
  };
  auto from = static_cast<int32_t>(record_.port);
  auto send_to = [&](uint32_t receiver) {
    if (!links_matter(segment())) return deliver(receiver);
    auto to = static_cast<int32_t>(segment().queue_pair(receiver).port);
    Passage passage = pass_links(owner_.attachment(), from, to, number_, header.bytes, ticks);
    send_at(posted_ - 1).ready_ticks = passage.left_ticks;
    if (passage.lost || (passage.corrupted && owner_.profile().checks_integrity)) return lose();
    header.arrival_ticks = passage.arrival_ticks;
    if (passage.corrupted) header.flags |= layout::kCorrupted;
    std::optional<PendingDatagram> overtaken = std::exchange(overtaken_, std::nullopt);
    if (passage.reordered) {
      overtaken_ = {receiver, header, payload};  // until the next one has passed it
    } else {
      deliver(receiver);
      if (passage.duplicated) deliver(receiver);
    }
    if (overtaken &&
        !deliver_datagram(overtaken->receiver, overtaken->header, overtaken->payload.data())) {
      pending_.push_back(std::move(*overtaken));
    }
  };
  if (!address.multicast) {
    uint32_t receiver = request.wr.ud.remote_qpn;
    bool arrives = receiver < layout::kMaxQueuePairs && reaches(segment(), from, address.port) &&
                   takes_datagrams(segment().queue_pair(receiver)) &&
                   static_cast<int32_t>(segment().queue_pair(receiver).port) == address.port;
    arrives ? send_to(receiver) : lose();
    return IBV_WC_SUCCESS;
  }
  for (uint32_t i = 0; i < segment().header().queue_pairs_used.load(); ++i) {
    const layout::QueuePair& receiver = segment().queue_pair(i);
    if (i != number_ && takes_datagrams(receiver) &&
        member(receiver, address.attributes.grh.dgid) &&
        reaches(segment(), from, static_cast<int32_t>(receiver.port))) {
      send_to(i);
    }
  }
  return IBV_WC_SUCCESS;
}

// False: the receiver's inbox is full, which a lossless link makes its sender wait for.
bool QueuePair::deliver_datagram(uint32_t number, const layout::DatagramHeader& header,
                                 const std::byte* payload) {
  layout::QueuePair& receiver = segment().queue_pair(number);
  if (!takes_datagrams(receiver)) return true;  // gone, and with it the datagram
  uint64_t ticket;
  layout::Datagram* slot = claim(segment(), receiver, owner_.attachment().process(), &ticket);
  if (!slot) {
    ring_owner(receiver.owner.load(std::memory_order_acquire), true);
    return false;
  }
  slot->header = header;
  memcpy(payload_of(*slot), payload, header.bytes);
  slot->stamp.store(ticket + 1, std::memory_order_release);
  if (receiver.attention.load(std::memory_order_relaxed) & layout::kHasChannel) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (receiver.attention.load(std::memory_order_relaxed) & layout::kArmed)
      ring_owner(receiver.owner.load(std::memory_order_acquire), false);
  }
  return true;
}

bool QueuePair::retry_datagrams() {
  bool worked = false;
  while (!pending_.empty()) {
    PendingDatagram& oldest = pending_.front();
    if (!deliver_datagram(oldest.receiver, oldest.header, oldest.payload.data())) break;
    pending_.pop_front();
    worked = true;
  }
  return worked;
}

bool QueuePair::progress_datagrams() {
  int settled = 0;
  for (; settled < kBatch && receiving(); ++settled) {
    layout::Datagram& slot = slot_at(segment(), record_, next_);
    bool filled = slot.stamp.load(std::memory_order_acquire) == next_ + 1;
    if (filled && links_matter(segment())) {
      underway_ = arrival_of(segment(), slot.header.arrival_ticks) > segment().now_ticks();
      if (underway_) break;
    }
    if (!filled) {
      uint64_t claim = slot.claim.load(std::memory_order_acquire);
      uint64_t mask = (uint64_t{1} << layout::kClaimShift) - 1;
      if ((claim & mask) == 0 || ++stuck_looks_ % kLooksBeforeSuspicion != 0) break;
      if (segment().alive(static_cast<uint32_t>(claim & mask) - 1)) break;
    } else {
      settle_datagram(slot);
    }
    stuck_looks_ = 0;
    slot.claim.store((next_ + record_.ring_mask + 1) << layout::kClaimShift,
                     std::memory_order_release);
    ++next_;
  }
  if (settled == 0) return false;
  owner_.attachment().count_progress(static_cast<uint64_t>(settled));
  return true;
}

namespace {

void write_grh(const layout::DatagramHeader& datagram, std::byte* out) {
  ibv_grh grh{};
  if (datagram.global) {
    grh.version_tclass_flow = htonl(6u << 28);
    grh.paylen = htons(static_cast<uint16_t>(datagram.bytes));
    grh.next_hdr = 0x1b;  // InfiniBand specification 8.3: a BTH follows
    grh.hop_limit = 64;
    memcpy(grh.sgid.raw, datagram.source_gid, sizeof grh.sgid.raw);
    memcpy(grh.dgid.raw, datagram.destination_gid, sizeof grh.dgid.raw);
  }
  static_assert(sizeof grh == kGrhBytes);
  memcpy(out, &grh, sizeof grh);
}

}  // namespace

void QueuePair::settle_datagram(layout::Datagram& slot) {
  const layout::DatagramHeader& datagram = slot.header;
  record_.messages_in.store(record_.messages_in.load() + 1, std::memory_order_relaxed);
  if (datagram.qkey != attributes_.qkey)
    return;  // InfiniBand specification 10.2.5: dropped silently
  ReceiveQueue& queue = receives();
  uint64_t arrival = arrival_of(segment(), datagram.arrival_ticks);
  if (queue.empty() || queue.front().posted_ticks > arrival) return drop(arrival, datagram.message);
  const Receive& receive = queue.front();
  std::byte header[kGrhBytes];
  write_grh(datagram, header);
  Pieces here, there;
  there.add(header, kGrhBytes);
  there.add(payload_of(slot), datagram.bytes);
  ibv_wc_status status = IBV_WC_LOC_LEN_ERR;
  if (receive.bytes >= kGrhBytes + datagram.bytes) {
    status = places(receive, queue.front_pieces(), kGrhBytes + datagram.bytes, here);
  }
  if (status == IBV_WC_SUCCESS) here.copy_from(there);
  if (status == IBV_WC_SUCCESS && (datagram.flags & layout::kCorrupted)) here.flip_a_bit();
  ibv_wc& wc = take_receive(status, kGrhBytes + datagram.bytes, datagram.message);
  wc.opcode = IBV_WC_RECV;
  wc.src_qp = datagram.source_number;
  wc.slid = segment().port(datagram.source_port).lid;
  wc.sl = datagram.service_level;
  if (datagram.global) wc.wc_flags |= IBV_WC_GRH;
  if (datagram.opcode == IBV_WR_SEND_WITH_IMM) {
    wc.wc_flags |= IBV_WC_WITH_IMM;
    wc.imm_data = datagram.immediate;
  }
  completions_of_receives()->publish(wc, datagram.flags & layout::kSolicited);
  if (status != IBV_WC_SUCCESS) enter_error(false);
}

}  // namespace railyard::sim
