// What every message passes at both ends, a few lines each, compiled into whoever has it pass.
#pragma once

#include <cstring>

#include "device/context.h"
#include "device/payload.h"
#include "device/queue_pair.h"
#include "device/shared_receive_queue.h"

namespace railyard::sim {

inline void add(layout::Shared<uint64_t>& count, uint64_t more = 1) {
  count.store(count.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

inline QueuePair::Send& QueuePair::enqueue(const ibv_send_wr& request, uint64_t bytes,
                                           uint32_t units) {
  Send& send = send_at(posted_++);
  // One by one: compilers clear a thing of this size by an instruction that takes longer.
  send.id = request.wr_id;
  send.wire = send.ready_ticks = send.staging_mark = send.staged_at = 0;
  send.block_bytes = send.completion = send.digest = 0;
  send.bytes = static_cast<uint32_t>(bytes);
  send.units = units;
  send.opcode = request.opcode;
  send.failure = IBV_WC_SUCCESS;
  send.carriage = layout::Carriage::in_slot;
  send.on_wire = false;
  send.signaled = signal_all_ || (request.send_flags & IBV_SEND_SIGNALED);
  send.pieces = 0;
  used_units_ += send.units;
  awaited_ += send.signaled;
  add(record_.bytes_out, bytes);
  return send;
}

inline layout::Slot& QueuePair::free_slot() {
  return *reinterpret_cast<layout::Slot*>(
      segment().bytes_at(record_.ring + (on_wire_ & send_mask_) * record_.slot_bytes));
}

inline void QueuePair::describe(const ibv_send_wr& request, uint64_t bytes, uint64_t arrival_ticks,
                                layout::Slot& slot) const {
  // A peer that still looks at what lay here, of an earlier connection, sees that it goes.
  slot.stamp.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  slot.arrival_ticks.store(arrival_ticks, std::memory_order_relaxed);
  slot.bytes = static_cast<uint32_t>(bytes);
  slot.opcode = static_cast<uint8_t>(request.opcode);
  slot.flags = request.send_flags & IBV_SEND_SOLICITED ? layout::kSolicited : 0;
  slot.immediate = request.imm_data;
}

inline uint64_t QueuePair::publish(layout::Slot& slot) {
  uint64_t wire = on_wire_++;
  slot.stamp.store(layout::stamp_of(record_.connection.load(std::memory_order_relaxed), wire),
                   std::memory_order_release);
  record_.on_wire.store(on_wire_, std::memory_order_relaxed);
  return wire;
}

// Where in the segment the payload of a message lies that is not left in place; nullptr: the
// message is being written over.
inline const std::byte* QueuePair::payload_in(const layout::Slot& slot, uint64_t bytes) const {
  if (slot.carriage == layout::Carriage::in_slot) {
    size_t at = payload_offset(slot.opcode);
    return at + bytes <= slot_bytes_ ? reinterpret_cast<const std::byte*>(&slot) + at : nullptr;
  }
  uint64_t offset;
  memcpy(&offset, slot.body, sizeof offset);
  return segment().holds(offset, bytes) ? segment().bytes_at(offset) : nullptr;
}

inline bool QueuePair::many_outstanding() const {
  uint64_t many = (send_mask_ + 1) / 4;
  return send_at(completed_).carriage == layout::Carriage::gather || posted_ - completed_ >= many ||
         completed_ - reclaimed_ >= many || staging_.scarce();
}

// Whether somebody waits for what became of the requests, or their places are needed. Where neither
// is so, as where no request asks for a completion, they are left alone: each look at the peer's
// word on them takes the line from its core.
inline bool QueuePair::sends_matter() const {
  return awaited_ != 0 || failing_ || datagrams() || many_outstanding();
}

// Most peers poll, and nobody has to be woken.
inline void QueuePair::wake_peer_for(const Send& send) const {
  uint32_t attention = peer_record().attention.load(std::memory_order_relaxed) |
                       record_.attention.load(std::memory_order_relaxed);
  if ((attention & layout::kHasChannel) || send.opcode != IBV_WR_SEND || extended_reliable())
    wake_peer_now(send);
}

inline ReceiveQueue& QueuePair::receives() {
  if (shared_) [[unlikely]]
    return shared_->receives;
  return own_receives_;
}
inline const ReceiveQueue& QueuePair::receives() const {
  return const_cast<QueuePair*>(this)->receives();
}

inline CompletionQueue* QueuePair::completions_of_receives() const {
  if (extended_reliable()) [[unlikely]]
    return shared_->completions;
  return receive_queue();
}

// Gives the oldest receive back to the program: its completion, to be filled and published.
[[gnu::always_inline]] inline ibv_wc& QueuePair::take_receive(ibv_wc_status status, uint32_t bytes,
                                                              uint64_t message) {
  ReceiveQueue& queue = receives();
  ibv_wc& wc = completions_of_receives()->add();
  wc.wr_id = queue.front().id;
  wc.status = status;
  wc.byte_len = bytes;
  wc.qp_num = number_;
  queue.pop();
  if (shared_) shared_->watch_limit();
  add(record_.receives_filled);
  add(record_.bytes_in, bytes);
  if (status != IBV_WC_SUCCESS) {
    record_.errors.store(record_.errors.load() + 1);
    record_.last_error.store(status);
  }
  if (attachment().tracing()) {
    attachment().trace({layout::TraceKind::receive_done, number_, message,
                        record_.receives_filled.load() - 1, bytes, static_cast<uint32_t>(status)});
  }
  return wc;
}

// Whether what was read of the message until now is what was sent: its sender may have been found
// dead meanwhile and its memory given back, or may have begun anew and written over it.
inline bool QueuePair::still_there(const layout::Slot& slot) const {
  std::atomic_thread_fence(std::memory_order_acquire);
  return peer_record().owner.load(std::memory_order_relaxed) == peer_owner_ &&
         slot.stamp.load(std::memory_order_relaxed) == stamp();
}

// False: it is not.
[[gnu::always_inline]] inline bool QueuePair::complete_receive(const layout::Slot& slot,
                                                               uint32_t bytes, ibv_wc_status status,
                                                               ibv_wc_opcode opcode) {
  if (!still_there(slot)) return false;
  ibv_wc& wc = take_receive(status, bytes, stamp());
  wc.opcode = opcode;
  wc.src_qp = record_.peer_number.load(std::memory_order_relaxed);
  if (slot.opcode == IBV_WR_SEND) [[likely]] {
    // Nothing comes with it.
  } else if (slot.opcode == IBV_WR_SEND_WITH_IMM || slot.opcode == IBV_WR_RDMA_WRITE_WITH_IMM) {
    wc.wc_flags = IBV_WC_WITH_IMM;
    wc.imm_data = slot.immediate;
  } else if (slot.opcode == IBV_WR_SEND_WITH_INV && status == IBV_WC_SUCCESS) {
    wc.wc_flags = IBV_WC_WITH_INV;
    wc.invalidated_rkey = slot.immediate;
  }
  completions_of_receives()->publish(wc, slot.flags & layout::kSolicited);
  return true;
}

}  // namespace railyard::sim
