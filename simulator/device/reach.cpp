#include "device/reach.h"

#include <bit>
#include <cstdlib>
#include <cstring>

#include "device/context.h"
#include "device/payload.h"
#include "device/peer_memory.h"
#include "device/queue_pair.h"
#include "platform/cross_copy.h"
#include "platform/doorbell.h"
#include "platform/ticks.h"

namespace railyard::sim {

namespace {

// More bytes take so long to copy that it matters little who does it; the target's process finds
// out which of its memory is worth a large page.
constexpr uint32_t kMostReached = 64 * 1024;
// For how long a process that was there is taken to be there: no process number is used again so
// soon.
constexpr double kProvenNs = 10e6;

// Between two operations: so long is a turn of two programs at least; so long it is when a helper
// has to be waited for.
constexpr double kTurnNs = 3e3, kLongTurnNs = 100e3;

constexpr uint32_t kLooksPerPause = 256;
constexpr int64_t kPauseNs = 20'000;

enum class Choice { patience, initiator, target };

// RAILYARD_ONE_SIDED: who carries out what either could.
Choice choice() {
  static const Choice chosen = [] {
    const char* said = getenv("RAILYARD_ONE_SIDED");
    if (!said) return Choice::patience;
    if (strcmp(said, "initiator") == 0) return Choice::initiator;
    return strcmp(said, "target") == 0 ? Choice::target : Choice::patience;
  }();
  return chosen;
}

// Operations by system calls before the target is asked to share the pages, which takes it a
// millisecond.
constexpr uint64_t kWorthSharing = 1000;
uint64_t worth_sharing() {
  return SharedPages::choice() == SharedPages::Choice::always ? 1 : kWorthSharing;
}

// The target's helper sees to it.
void want_shared(layout::Process& process, const std::byte* place) {
  process.wanted_pages.store(reinterpret_cast<uint64_t>(place), std::memory_order_release);
  platform::ring_bell(process.doorbell);
}

// Copies to a place that a program may watch: what comes last is seen last, and whole where the
// system copies a word at once.
int copy_to_watched(pid_t pid, Pieces& from, std::byte* place, uint64_t bytes) {
  size_t last = last_word_bytes(place + bytes, bytes);
  Pieces there;
  if (bytes > last) there.add(place, bytes - last);
  if (!platform::kPiecesInOrder && bytes > last) {
    Pieces end = from.split(bytes - last);
    int error = platform::copy_to_process(pid, from.data(), from.count(), there.data(), 1);
    if (error != 0) return error;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    from = end;
    there = {};
  }
  there.add(place + bytes - last, last);
  return platform::copy_to_process(pid, from.data(), from.count(), there.data(), there.count());
}

}  // namespace

bool proves_readable(const layout::Process& process) {
  if (!platform::cross_copy_available()) return false;
  uint64_t word = 0;
  iovec here{&word, sizeof word};
  iovec there{reinterpret_cast<void*>(process.probe_address), sizeof word};
  return platform::copy_from_process(process.pid, &here, 1, &there, 1) == 0 &&
         word == layout::kMagic;
}

// Whether this request has been carried out; else it goes to the target, whatever the reason.
bool QueuePair::reach(const ibv_send_wr& request, Send& send, uint64_t ticks) {
  bool writes = request.opcode == IBV_WR_RDMA_WRITE;
  if (!writes && request.opcode != IBV_WR_RDMA_READ) return false;
  bool wanted =
      choice() == Choice::patience ? target_is_slow(send, ticks) : choice() == Choice::initiator;
  if (extended_reliable() || send.bytes == 0 || send.bytes > kMostReached) return false;
  uint32_t owner = peer_record().owner.load(std::memory_order_acquire);
  if (owner == 0 || owner - 1 == attachment().process()) return false;
  layout::Process& process = segment().process(owner - 1);
  // By a plain copy it is always faster than to leave it to the target.
  bool shared = choice() != Choice::target && process.shared_pages.load(std::memory_order_relaxed);
  if (!wanted && !shared) return false;
  // Faults, links, traces and watched memory have to do with messages on wires.
  if (segment().header().gate.load(std::memory_order_relaxed) != 0) return false;
  if (on_wire_ == 0 || read_settled() != on_wire_) return false;
  pid_t pid = peer_within_reach(process, ticks);
  if (pid == 0) return false;
  Pieces mine;
  if (collect(request, mine) != IBV_WC_SUCCESS) return false;

  Reaching reaching(record_.reaching, process);
  if (!reaching.allowed()) return false;
  layout::QueuePair& peer = peer_record();
  if (peer.life.load(std::memory_order_acquire) != peer_life_) return false;
  std::optional<Region> region = ShownRegions::find(segment(), peer.context, request.wr.rdma.rkey);
  bool admitted =
      region && region->admits(writes ? IBV_ACCESS_REMOTE_WRITE : IBV_ACCESS_REMOTE_READ,
                               peer.remote_access.load(std::memory_order_acquire),
                               reinterpret_cast<const ibv_pd*>(peer.protection_domain),
                               request.wr.rdma.remote_addr, send.bytes);
  if (!admitted) return false;
  std::byte* place = region->at(request.wr.rdma.remote_addr);
  if (!copy_plainly(process, mine, place, send.bytes, writes)) {
    if (!wanted) return false;
    iovec whole{place, send.bytes};
    int error = writes ? copy_to_watched(pid, mine, place, send.bytes)
                       : platform::copy_from_process(pid, mine.data(), mine.count(), &whole, 1);
    if (error != 0) return false;
    // More and more seldom: it may not be able to.
    if (++reached_by_call_ % worth_sharing() == 0 &&
        std::has_single_bit(reached_by_call_ / worth_sharing())) {
      want_shared(process, place);
    }
    patience_.spend();
  }
  peer.reached_in.fetch_add(1, std::memory_order_relaxed);
  left_to_target_ = false;
  return true;
}

// Whether what is posted now is better not left to the target's process.
bool QueuePair::target_is_slow(const Send& send, uint64_t ticks) {
  auto gap = static_cast<double>(ticks - latest_one_sided_);
  uint64_t read = send_queue()->read();
  // Programs that spin on memory do not poll: how long they spin shows when they go on.
  if (left_to_target_ && read == completions_read_ && gap >= segment().ticks_in_ns(kLongTurnNs)) {
    patience_.waited(Patience::kTooManyPolls, send.bytes);
  }
  latest_one_sided_ = ticks;
  completions_read_ = read;
  left_to_target_ = true;
  // Many at a time go faster through the ring, which the target empties meanwhile.
  bool alone = awaited_ == uint32_t{send.signaled} || gap >= segment().ticks_in_ns(kTurnNs);
  return patience_.lost() && alone;
}

// False: not in pages that the peer shares.
bool QueuePair::copy_plainly(const layout::Process& process, const Pieces& mine, std::byte* place,
                             uint64_t bytes, bool writes) {
  Pieces there, shared;
  there.add(place, bytes);
  if (!find_shared(segment(), process, there, shared) || shared.count() != 1) return false;
  if (writes) {
    WatchedPlace watched(static_cast<std::byte*>(shared.data()->iov_base), bytes);
    watched.pieces().copy_from(mine);
    watched.finish();
  } else {
    mine.copy_from(shared);
  }
  count_plain_copy();
  return true;
}

// The process of the peer, in its present life, if this one can copy from and to its memory; or 0.
pid_t QueuePair::peer_within_reach(const layout::Process& process, uint64_t ticks) {
  if (peer_life_ == proven_life_ && ticks - proven_ticks_ < segment().ticks_in_ns(kProvenNs)) {
    return proven_pid_;
  }
  proven_life_ = peer_life_;
  proven_ticks_ = ticks;
  proven_pid_ = 0;
  pid_t pid = process.pid;
  if (proves_readable(process)) proven_pid_ = pid;
  return proven_pid_;
}

// Only a queue pair that has a life is anybody's to reach.
void QueuePair::await_reaching_peer() const {
  if (record_.life.load(std::memory_order_relaxed) != 0) outlast_reaching();
}

// Nothing that a peer begins from now on reaches this queue pair; when this returns nothing that it
// has begun does.
void QueuePair::end_life() {
  if (record_.life.exchange(0) != 0) outlast_reaching();
}

void QueuePair::outlast_reaching() const {
  if (datagrams() || extended_reliable()) return;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const layout::QueuePair& peer = peer_record();
  uint64_t seen = peer.reaching.load(std::memory_order_acquire);
  if (seen % 2 == 0) return;
  for (uint32_t looks = 1; peer.reaching.load(std::memory_order_acquire) == seen; ++looks) {
    platform::relax();
    if (looks % kLooksPerPause != 0) continue;
    platform::pause_thread(kPauseNs);
    uint32_t owner = peer.owner.load(std::memory_order_acquire);
    if (owner == 0 || !segment().alive(owner - 1)) return;
  }
}

}  // namespace railyard::sim
