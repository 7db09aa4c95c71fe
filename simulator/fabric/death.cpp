// What becomes of what a dead process held.
#include <unistd.h>

#include "fabric/segment.h"
#include "platform/doorbell.h"
#include "platform/process.h"

namespace railyard::fabric {

using namespace layout;

bool Segment::alive(uint32_t index) const {
  const Process& record = process(index);
  return live(index) && platform::process_alive(record.pid, record.start_time);
}

bool Segment::reaches_into(const QueuePair& pair, uint32_t process) const {
  bool reaching = pair.reaching.load(std::memory_order_acquire) % 2 != 0;
  if (!reaching && pair.copying.load(std::memory_order_acquire) % 2 == 0) return false;
  uint32_t owner = pair.owner.load(std::memory_order_acquire), peer = pair.peer_number.load();
  return owner != 0 && peer < kMaxQueuePairs && queue_pair(peer).owner.load() == process + 1 &&
         alive(owner - 1);
}

void Segment::reap(uint32_t index) const {
  Process& record = process(index);
  uint32_t seen = record.state.load();
  if (state_of(seen) == kLive && !platform::process_alive(pid_of(seen), record.start_time)) {
    record.died_ticks.store(now_ticks());
    record.state.compare_exchange_strong(seen, kDead);
  }
  // One at a time: what a second one gives back might already be that of the record's next owner.
  seen = record.state.load();
  bool abandoned = state_of(seen) == kReaping && !platform::process_alive(pid_of(seen));
  if (seen != kDead && !abandoned) return;
  if (!record.state.compare_exchange_strong(seen, state_with(kReaping, getpid()))) return;
  give_back_claims(index);
  bool recent = now_ticks() - record.died_ticks.load() < ticks_in_ns(kUnreadNs);
  if ((unread_of(index) && recent) || reached_into(index)) {
    record.state.store(kDead, std::memory_order_release);
    return;
  }
  give_back_messages(index);
  record.state.store(kBuried, std::memory_order_release);
}

void Segment::give_back_claims(uint32_t index) const {
  uint32_t owner = index + 1;
  auto give_back = [&](Shared<uint32_t>& word) {
    uint32_t held = owner;
    return word.compare_exchange_strong(held, 0);
  };
  // First: they say who may have a queue pair now.
  for (uint32_t i = 0; i < header().shares_used.load(); ++i) {
    if (share(i).owner.load() == owner) give_back_share(i);
  }
  for (uint32_t i = 0; i < header().shared_queues_used.load(); ++i) {
    give_back(shared_queue(i).owner);
  }
  for (uint32_t i = 0; i < header().queue_pairs_used.load(); ++i) {
    QueuePair& pair = queue_pair(i);
    give_back(pair.lock);
    if (pair.owner.load() != owner) continue;
    if (pair.domain.load() != 0)
      hand_over(i, index);  // it receives only
    else
      pair.life.store(0, std::memory_order_release);
  }
  for (uint32_t i = 0; i < header().completion_queues_used.load(); ++i) {
    give_back(completion_queue(i).owner);
  }
  for (uint32_t i = 0; i < header().contexts_used.load(); ++i) {
    if (context(i).owner.load() != owner) continue;
    uint32_t device = context(i).device.load();
    if (device != 0 && profile().killed_owner_leaks) lose_context(device - 1);
    give_back_context(i);
  }
  for (uint32_t i = 0; i < header().device_count; ++i) give_back(device(i).lock);
}

const Share* Segment::heir(uint32_t queue_pair) const {
  for (uint32_t i = 0; i < header().shares_used.load(); ++i) {
    const Share& share = this->share(i);
    uint32_t owner = share.owner.load(std::memory_order_acquire);
    if (owner == 0 || share.domain.load(std::memory_order_acquire) == 0) continue;
    if (share.queue_pair == queue_pair && live(owner - 1)) return &share;
  }
  return nullptr;
}

bool Segment::hand_over(uint32_t number, uint32_t from) const {
  QueuePair& pair = queue_pair(number);
  bool shared = pair.domain.load(std::memory_order_acquire) != 0;
  for (uint32_t owner = from + 1;;) {
    const Share* next = shared ? heir(number) : nullptr;
    uint32_t next_owner = next ? next->owner.load() : 0;
    if (next && next_owner == 0) continue;  // given up just now
    if (next) {
      pair.context = next->context;
    } else {
      pair.life.store(0, std::memory_order_release);
      pair.connection.store(0, std::memory_order_release);
      pair.domain.store(0, std::memory_order_release);
    }
    if (!pair.owner.compare_exchange_strong(owner, next_owner)) return true;
    if (!next) return false;
    // Who has died since may have been reaped before it had this.
    if (live(next_owner - 1)) {
      context(pair.context).queue_pairs.fetch_add(1);
      return true;
    }
    owner = next_owner;
  }
}

// A device that a killed owner never gives back: one context fewer from now on.
void Segment::lose_context(uint32_t index) const {
  Limit limit = limit_of(*this, index, Resource::contexts);
  if (limit.most < 1) return;
  device(index).limits[static_cast<size_t>(Resource::contexts)].store(limit.most);
}

// Whether a living peer has not yet taken all that this queue pair has put on the wire. On a real
// device it has arrived by itself.
bool Segment::unread(const QueuePair& pair) const {
  uint64_t connection = pair.connection.load(), sent = pair.on_wire.load();
  uint32_t number = pair.peer_number.load();
  if (connection == 0 || sent == 0 || number >= header().queue_pairs_used.load()) return false;
  const QueuePair& peer = queue_pair(number);
  uint32_t receiver = peer.owner.load(std::memory_order_acquire);
  if (receiver == 0 || !live(receiver - 1) || peer.life.load() == 0 ||
      static_cast<int32_t>(peer.port) != pair.peer_port.load()) {
    return false;
  }
  if (peer.adopted.load(std::memory_order_acquire) == connection && peer.settled.load() == sent) {
    return false;
  }
  platform::ring_bell(process(receiver - 1).doorbell);
  return true;
}

bool Segment::unread_of(uint32_t index) const {
  bool found = false;
  for (uint32_t i = 0; i < header().queue_pairs_used.load(); ++i) {
    found |= queue_pair(i).owner.load() == index + 1 && unread(queue_pair(i));
  }
  return found;
}

bool Segment::reached_into(uint32_t index) const {
  // Whoever reaches into its shared pages began before it was known to be dead.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (uint32_t i = 0; i < header().queue_pairs_used.load(); ++i) {
    if (reaches_into(queue_pair(i), index)) return true;
  }
  return false;
}

void Segment::give_back_messages(uint32_t index) const {
  uint32_t owner = index + 1;
  for (uint32_t i = 0; i < header().queue_pairs_used.load(); ++i) {
    QueuePair& pair = queue_pair(i);
    if (pair.owner.load() != owner) continue;
    pair.connection.store(0, std::memory_order_release);
    pair.owner.store(0, std::memory_order_release);
  }
  for (uint32_t i = 0; i < header().blocks_used.load(); ++i) {
    if (block_owner(i).load(std::memory_order_relaxed) != owner) continue;
    uint64_t offset = header().blocks + uint64_t{i} * kBlockBytes;
    // The trace tells what the dead did last; it goes when its record is used again.
    if (uint64_t trace = process(index).trace; trace != 0 && offset - trace < kTraceBytes) continue;
    memory_.discard(offset, kBlockBytes);
    block_owner(i).store(kUnowned, std::memory_order_release);
  }
}

void Segment::reap_if_dead(const Shared<uint32_t>& owner) const {
  uint32_t process = owner.load(std::memory_order_acquire);
  if (process != 0 && !alive(process - 1)) reap(process - 1);
}

void Segment::reap_dead() const {
  for (uint32_t i = 0; i < header().processes_used.load(); ++i) {
    Shared<uint32_t>& state = process(i).state;
    uint32_t seen = state.load();
    if (state_of(seen) == kLive) reap(i);
    // One that did not come to live has nothing that anybody waits for, and is not shown.
    if (state_of(seen) == kClaimed && !platform::process_alive(pid_of(seen)) &&
        state.compare_exchange_strong(seen, state_with(kReaping, getpid()))) {
      give_back_messages(i);
      state.store(kFree, std::memory_order_release);
    }
  }
  reap_further();
}

void Segment::reap_further() const {
  for (uint32_t i = 0; i < header().processes_used.load(); ++i) {
    RecordState state = state_of(process(i).state.load());
    if (state == kDead || state == kReaping) reap(i);
  }
}

}  // namespace railyard::fabric
