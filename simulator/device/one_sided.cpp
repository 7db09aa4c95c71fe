// The target's part of one-sided operations: what becomes of those that its peer has left to it.
#include <cerrno>
#include <cstring>

#include "device/context.h"
#include "device/message_path.h"
#include "device/payload.h"
#include "device/queue_pair.h"
#include "device/shared_receive_queue.h"

namespace railyard::sim {

// What an operation reaches for.
struct QueuePair::Target {
  explicit Target(const layout::Slot& slot)
      : address(layout::read_once(slot.remote_address)),
        bytes(layout::read_once(slot.bytes)),
        key(slot.remote_key) {}

  uint64_t address;
  uint32_t bytes, key;
};

Region* QueuePair::remote_region(const Target& target, int access) {
  Region* region = owner_.regions.find(target.key);
  // The target of XRC has no protection domain of its own: that of the shared queue counts.
  const ibv_pd* domain = extended_reliable() ? (shared_ ? shared_->pd : nullptr) : qp_base.pd;
  bool admitted = region && region->admits(access, attributes_.qp_access_flags, domain,
                                           target.address, target.bytes);
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
  Target target(slot);
  if (!still_there(slot)) return Verdict::waiting;
  Region* region = nullptr;
  if (target.bytes != 0 && !(region = remote_region(target, IBV_ACCESS_REMOTE_WRITE)))
    return forbid();
  if (immediate) {
    if (drops(arrival)) return drop(arrival, stamp()), Verdict::settled;
    if (meet_receive(arrival) == Verdict::waiting) return Verdict::waiting;
  }
  if (region) {
    WatchedPlace here(region->at(target.address), target.bytes);
    if (int error = fetch(slot, here.pieces())) {
      if (error == EAGAIN) return Verdict::waiting;
      return Verdict::settled;  // its sender's memory is gone, and so is it
    }
    if (slot.flags & layout::kCorrupted) here.pieces().flip_a_bit();
    here.finish();
  }
  if (immediate &&
      !complete_receive(slot, target.bytes, IBV_WC_SUCCESS, IBV_WC_RECV_RDMA_WITH_IMM)) {
    return Verdict::waiting;
  }
  return Verdict::settled;
}

QueuePair::Verdict QueuePair::settle_read(const layout::Slot& slot) {
  Target target(slot);
  if (target.bytes == 0) return Verdict::settled;
  Region* region = remote_region(target, IBV_ACCESS_REMOTE_READ);
  if (!region) return forbid();
  std::byte* source = region->at(target.address);
  if (slot.carriage == layout::Carriage::staged) {
    uint64_t offset;
    memcpy(&offset, slot.body, sizeof offset);
    if (!still_there(slot) || !segment().holds(offset, target.bytes)) return Verdict::waiting;
    memcpy(segment().bytes_at(offset), source, target.bytes);
    return Verdict::settled;
  }
  Pieces here;
  here.add(source, target.bytes);
  int error = copy_to_peer(here, Pieces::listed(slot.body, slot.pieces));
  return error == EAGAIN ? Verdict::waiting : Verdict::settled;
}

QueuePair::Verdict QueuePair::settle_atomic(const layout::Slot& slot) {
  Target target(slot);
  Region* region = remote_region(target, IBV_ACCESS_REMOTE_ATOMIC);
  if (!region) return forbid();
  if (target.address % sizeof(uint64_t) != 0) {
    refuse(IBV_WC_REM_INV_REQ_ERR);
    enter_error(true);
    return Verdict::waiting;
  }
  layout::Atomic request;
  memcpy(&request, slot.body, sizeof request);
  if (!still_there(slot) || !segment().holds(request.result, sizeof(uint64_t)))
    return Verdict::waiting;
  std::atomic_ref<uint64_t> word(*reinterpret_cast<uint64_t*>(region->at(target.address)));
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
