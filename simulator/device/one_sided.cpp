// The target's part of one-sided operations: what becomes of those that its peer has left to it.
#include <cerrno>
#include <cstring>

#include "device/context.h"
#include "device/message_path.h"
#include "device/payload.h"
#include "device/queue_pair.h"
#include "device/shared_receive_queue.h"

namespace railyard::sim {

Region* QueuePair::remote_region(const layout::Slot& slot, int access) {
  Region* region = owner_.regions.find(slot.remote_key);
  // The target of XRC has no protection domain of its own: that of the shared queue counts.
  const ibv_pd* domain = extended_reliable() ? (shared_ ? shared_->pd : nullptr) : qp_base.pd;
  bool admitted = region && region->admits(access, attributes_.qp_access_flags, domain,
                                           slot.remote_address, slot.bytes);
  return admitted ? region : nullptr;
}

// What a device does with an access that it may not make: a reliable sender is told, and the queue
// pair is done for; an unreliable one is not.
QueuePair::Verdict QueuePair::forbid() {
  if (!reliable()) return Verdict::settled;
  refuse(IBV_WC_REM_ACCESS_ERR);
  enter_error(true);
  return Verdict::waiting;
}

QueuePair::Verdict QueuePair::settle_write(const layout::Slot& slot, uint64_t arrival) {
  bool immediate = slot.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
  Region* region = nullptr;
  if (slot.bytes != 0 && !(region = remote_region(slot, IBV_ACCESS_REMOTE_WRITE))) return forbid();
  if (immediate) {
    if (drops(arrival)) return drop(arrival, stamp()), Verdict::settled;
    if (meet_receive(arrival) == Verdict::waiting) return Verdict::waiting;
  }
  if (region) {
    WatchedPlace here(region->at(slot.remote_address), slot.bytes);
    if (int error = fetch(slot, here.pieces())) {
      if (error == EAGAIN) return Verdict::waiting;
      return Verdict::settled;  // its sender's memory is gone, and so is it
    }
    if (slot.flags & layout::kCorrupted) here.pieces().flip_a_bit();
    here.finish();
  }
  if (immediate && !complete_receive(slot, IBV_WC_SUCCESS, IBV_WC_RECV_RDMA_WITH_IMM)) {
    return Verdict::waiting;
  }
  return Verdict::settled;
}

QueuePair::Verdict QueuePair::settle_read(const layout::Slot& slot) {
  if (slot.bytes == 0) return Verdict::settled;
  Region* region = remote_region(slot, IBV_ACCESS_REMOTE_READ);
  if (!region) return forbid();
  std::byte* source = region->at(slot.remote_address);
  if (slot.carriage == layout::Carriage::staged) {
    uint64_t offset;
    memcpy(&offset, slot.body, sizeof offset);
    memcpy(segment().bytes_at(offset), source, slot.bytes);
    return Verdict::settled;
  }
  Pieces here;
  here.add(source, slot.bytes);
  int error = copy_to_peer(here, Pieces::listed(slot.body, slot.pieces));
  return error == EAGAIN ? Verdict::waiting : Verdict::settled;
}

QueuePair::Verdict QueuePair::settle_atomic(const layout::Slot& slot) {
  Region* region = remote_region(slot, IBV_ACCESS_REMOTE_ATOMIC);
  if (!region) return forbid();
  if (slot.remote_address % sizeof(uint64_t) != 0) {
    refuse(IBV_WC_REM_INV_REQ_ERR);
    enter_error(true);
    return Verdict::waiting;
  }
  layout::Atomic request;
  memcpy(&request, slot.body, sizeof request);
  std::atomic_ref<uint64_t> word(*reinterpret_cast<uint64_t*>(region->at(slot.remote_address)));
  uint64_t former = request.compare_add;
  if (slot.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
    former = word.fetch_add(request.compare_add);
  } else {
    word.compare_exchange_strong(former, request.swap);
  }
  memcpy(segment().bytes_at(request.result), &former, sizeof former);
  return Verdict::settled;
}

}  // namespace railyard::sim
