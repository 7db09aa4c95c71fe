// How the payloads of a connected queue pair travel.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "device/context.h"
#include "device/payload.h"
#include "device/peer_memory.h"
#include "device/queue_pair.h"
#include "platform/cross_copy.h"

namespace railyard::sim {

// The pieces of memory that a request names, checked.
ibv_wc_status QueuePair::collect(const ibv_send_wr& request, Pieces& pieces) const {
  bool inlined = request.send_flags & IBV_SEND_INLINE;
  bool written = request.opcode == IBV_WR_RDMA_READ ||
                 request.opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
                 request.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
  for (int i = 0; i < request.num_sge; ++i) {
    const ibv_sge& sge = request.sg_list[i];
    if (sge.length == 0) continue;
    if (inlined) {
      pieces.add(reinterpret_cast<std::byte*>(sge.addr), sge.length);
      continue;
    }
    const Region* region = owner_.regions.find(sge.lkey);
    if (!region || region->domain != qp_base.pd || !region->covers(sge.addr, sge.length) ||
        (written && !(region->access & IBV_ACCESS_LOCAL_WRITE))) {
      return IBV_WC_LOC_PROT_ERR;
    }
    pieces.add(region->at(sge.addr), sge.length);
  }
  return IBV_WC_SUCCESS;
}

// Whether the peer is to copy the payload from or to its place: a long one, and one that the
// staging ring has no room for now, as blocks of the segment are slow to get and many.
bool QueuePair::stays_in_place(const Send& send) const {
  return (send.bytes > Staging::kLargest || !staging_.has_room(send.bytes)) && peer_copies();
}

// Finds room in the segment for the payload: in the staging ring, or in a block of its own.
bool QueuePair::stage(Send& send) {
  send.carriage = layout::Carriage::staged;
  uint32_t process = attachment().process();
  send.staged_at = staging_.take(segment(), process, owner_.queue_pairs.size(), send.bytes);
  if (send.staged_at != 0) {
    send.staging_mark = staging_.mark();
    return true;
  }
  send.staged_at = segment().allocate(send.bytes, process);
  send.block_bytes = send.staged_at != 0 ? send.bytes : 0;
  return send.staged_at != 0;
}

// The peer copies the payload, or the answer, from or to its place.
void QueuePair::leave_in_place(Send& send, layout::Slot& slot, const Pieces& pieces) {
  send.carriage = layout::Carriage::gather;
  slot.pieces = static_cast<uint8_t>(pieces.count());
  pieces.list_in(slot.body);
  Attachment& here = attachment();
  bool by_peer = peer_record().owner.load(std::memory_order_relaxed) != here.process() + 1;
  auto note = by_peer ? &Attachment::note_copy_by_peer : &Attachment::note_cross_copy;
  for (size_t i = 0; i < pieces.count(); ++i) {
    (here.*note)(pieces.data()[i].iov_base, pieces.data()[i].iov_len);
  }
}

// Between this process's memory and that of the peer. 0 or an errno, ESRCH: it is gone; EAGAIN: it
// moves its pages just now, and who waits for it shall be asked again.
int QueuePair::copy_from_peer(const Pieces& here, const Pieces& there) {
  auto note = [&] {
    for (size_t i = 0; i < here.count(); ++i) {
      attachment().note_cross_copy(here.data()[i].iov_base, here.data()[i].iov_len);
    }
  };
  if (peer_pid_ == 0) note();
  return copy_with_peer(
      there, [&](const Pieces& shared) { here.copy_from(shared); },
      [&] {
        note();
        return platform::copy_from_process(peer_pid_, here.data(), here.count(), there.data(),
                                           there.count());
      });
}

int QueuePair::copy_to_peer(const Pieces& here, const Pieces& there) {
  return copy_with_peer(
      there, [&](const Pieces& shared) { shared.copy_from(here); },
      [&] {
        return platform::copy_to_process(peer_pid_, here.data(), here.count(), there.data(),
                                         there.count());
      });
}

// `plainly` copies from or to where the peer's pieces are in this process, `by_call` from or to
// where they are in the peer's.
template <typename Plainly, typename ByCall>
int QueuePair::copy_with_peer(const Pieces& there, Plainly plainly, ByCall by_call) {
  if (peer_pid_ == 0) return plainly(there), 0;
  // Several processes may settle what comes to an XRC receiver: see SharedPages::forbid().
  if (extended_reliable()) return by_call();
  const layout::Process& process = segment().process(peer_owner_ - 1);
  Reaching reaching(record_.copying, process);
  peer_moves_ = !reaching.allowed() && segment().alive(peer_owner_ - 1);
  if (peer_moves_) return EAGAIN;
  Pieces shared;
  if (!find_shared(segment(), process, there, shared)) return by_call();
  plainly(shared);
  count_plain_copy();
  return 0;
}

void QueuePair::count_plain_copy() {
  record_.copied_plainly.store(record_.copied_plainly.load(std::memory_order_relaxed) + 1,
                               std::memory_order_relaxed);
}

// Chooses how the payload travels and puts it, or the way to it, into the slot.
ibv_wc_status QueuePair::load(const ibv_send_wr& request, Send& send, layout::Slot& slot) {
  Pieces pieces;
  if (ibv_wc_status failure = collect(request, pieces); failure != IBV_WC_SUCCESS) return failure;
  if (request.opcode == IBV_WR_RDMA_READ || request.opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
      request.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
    return load_result(request, send, slot, pieces);
  }
  size_t at = payload_offset(slot.opcode);
  size_t room = record_.slot_bytes - at - (extended_reliable() ? layout::kSharedQueueBytes : 0);
  if (send.bytes <= room) {
    send.carriage = layout::Carriage::in_slot;
    pieces.gather_to(reinterpret_cast<std::byte*>(&slot) + at);
    return IBV_WC_SUCCESS;
  }
  // Inline data are in memory that is the program's again at once.
  if (!(request.send_flags & IBV_SEND_INLINE) && stays_in_place(send)) {
    leave_in_place(send, slot, pieces);
    return IBV_WC_SUCCESS;
  }
  if (!stage(send)) return IBV_WC_LOC_QP_OP_ERR;
  memcpy(slot.body, &send.staged_at, sizeof send.staged_at);
  pieces.gather_to(segment().bytes_at(send.staged_at));
  return IBV_WC_SUCCESS;
}

// A READ or an atomic operation names where its answer goes: through the segment if it is short, as
// the peer then needs no system call, to its place at once if it is long.
ibv_wc_status QueuePair::load_result(const ibv_send_wr& request, Send& send, layout::Slot& slot,
                                     const Pieces& pieces) {
  keep_pieces(request, send);
  if (request.opcode == IBV_WR_RDMA_READ && stays_in_place(send)) {
    leave_in_place(send, slot, pieces);
    return IBV_WC_SUCCESS;
  }
  if (!stage(send)) return IBV_WC_LOC_QP_OP_ERR;
  layout::Atomic body{send.staged_at, request.wr.atomic.compare_add, request.wr.atomic.swap};
  memcpy(slot.body, &body, request.opcode == IBV_WR_RDMA_READ ? sizeof body.result : sizeof body);
  return IBV_WC_SUCCESS;
}

void QueuePair::keep_pieces(const ibv_send_wr& request, Send& send) {
  uint32_t stride = std::max(cap_.max_send_sge, 1u);
  if (!pieces_) pieces_ = std::make_unique<ibv_sge[]>((send_mask_ + 1) * stride);
  send.pieces = request.num_sge;
  std::copy_n(request.sg_list, request.num_sge, &pieces_[((posted_ - 1) & send_mask_) * stride]);
}

const ibv_sge* QueuePair::pieces_of(uint64_t i) const {
  return &pieces_[(i & send_mask_) * std::max(cap_.max_send_sge, 1u)];
}

namespace {

// FNV-1a over words: enough to see that something changed.
uint64_t digest_of(Context& owner, const ibv_sge* pieces, int count) {
  uint64_t digest = 0xcbf29ce484222325;
  for (int i = 0; i < count; ++i) {
    const Region* region = owner.regions.find(pieces[i].lkey);
    if (!region || !region->covers(pieces[i].addr, pieces[i].length)) return 0;
    const std::byte* bytes = region->at(pieces[i].addr);
    for (uint32_t at = 0; at < pieces[i].length; at += sizeof(uint64_t)) {
      uint64_t word = 0;
      memcpy(&word, bytes + at, std::min<size_t>(sizeof word, pieces[i].length - at));
      digest = (digest ^ word) * 0x100000001b3;
    }
  }
  return digest | 1;
}

}  // namespace

void QueuePair::remember(const ibv_send_wr& request, Send& send) {
  if (request.send_flags & IBV_SEND_INLINE) return;  // its memory is the program's again at once
  if (request.opcode == IBV_WR_RDMA_READ || request.opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
      request.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
    return;  // these are to change it
  }
  keep_pieces(request, send);
  send.digest = digest_of(owner_, request.sg_list, request.num_sge);
}

bool QueuePair::changed(const Send& send) const {
  return send.digest != 0 && digest_of(owner_, pieces_of(completed_), send.pieces) != send.digest;
}

// Whether the peer has shown that it can read and write this process's memory.
bool QueuePair::peer_copies() const {
  const layout::QueuePair& peer = peer_record();
  return peer.adopted.load(std::memory_order_acquire) ==
             record_.connection.load(std::memory_order_relaxed) &&
         peer.can_copy.load(std::memory_order_relaxed) != 0;
}

// The answer is in the segment: to its place with it.
ibv_wc_status QueuePair::finish_read(const Send& send) {
  const ibv_sge* pieces = pieces_of(completed_);
  Pieces places;
  for (int i = 0; i < send.pieces; ++i) {
    if (pieces[i].length == 0) continue;
    const Region* region = owner_.regions.find(pieces[i].lkey);
    if (!region || !region->covers(pieces[i].addr, pieces[i].length)) return IBV_WC_LOC_PROT_ERR;
    places.add(region->at(pieces[i].addr), pieces[i].length);
  }
  places.scatter_from(segment().bytes_at(send.staged_at));
  return IBV_WC_SUCCESS;
}

// Memory windows (InfiniBand specification 10.6.7): what a bind or an invalidation changes, it
// changes for all that arrives from now on.
ibv_wc_status QueuePair::act_locally(const ibv_send_wr& request) {
  if (request.opcode == IBV_WR_LOCAL_INV) {
    return owner_.regions.invalidate(request.invalidate_rkey, qp_base.pd) ? IBV_WC_SUCCESS
                                                                          : IBV_WC_MW_BIND_ERR;
  }
  const ibv_mw_bind_info& bind = request.bind_mw.bind_info;
  uint32_t handle = request.bind_mw.mw->handle;
  Region* window = owner_.regions.find_window(handle);
  if (!window || window->domain != qp_base.pd ||
      MemoryTable::handle_of(request.bind_mw.rkey) != handle) {
    return IBV_WC_MW_BIND_ERR;
  }
  Region bound = *window;
  bound.key = request.bind_mw.rkey;
  if (bind.length == 0) {  // unbound
    bound.bytes = 0;
    bound.access = 0;
  } else {
    const Region* region = bind.mr ? owner_.regions.find(bind.mr->lkey) : nullptr;
    if (!region || region->domain != qp_base.pd || !(region->access & IBV_ACCESS_MW_BIND) ||
        !region->covers(bind.addr, bind.length)) {
      return IBV_WC_MW_BIND_ERR;
    }
    bool writes = bind.mw_access_flags & (IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC);
    if (writes && !(region->access & IBV_ACCESS_LOCAL_WRITE)) return IBV_WC_MW_BIND_ERR;
    bound.address = bind.addr;
    bound.bytes = bind.length;
    bound.base = region->at(bind.addr);
    bound.access = static_cast<int>(bind.mw_access_flags);
  }
  owner_.regions.change(*window, bound);
  return IBV_WC_SUCCESS;
}

}  // namespace railyard::sim
