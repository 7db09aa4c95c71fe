// A receiver of XRC: a queue pair that several processes share. Each message is settled by the
// process that has the shared receive queue which the message names; one that names none falls to
// the queue pair's owner. So a message says by itself whose turn it is, and who is not concerned
// need not run.
#include "device/shared_receiver.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "device/extended_domain.h"
#include "device/shared_receive_queue.h"
#include "platform/doorbell.h"

namespace railyard::sim {

namespace {

uint64_t name_in(const layout::Slot& slot, uint64_t slot_bytes) {
  return layout::shared_queue_word(const_cast<layout::Slot&>(slot), slot_bytes);
}

}  // namespace

// -------------------------------------------------------------------------------------------------
// Shares.

int QueuePair::share(ExtendedDomain& domain, bool made_it) {
  std::optional<uint32_t> claimed = segment().claim_share(owner_.attachment().process());
  if (!claimed) return errno;
  layout::Share& record = segment().share(*claimed);
  record.context = owner_.record_index();
  record.device = owner_.device_index();
  record.queue_pair = number_;
  record.file_system = record.file = 0;
  {
    // Whoever gives up the last share either sees this one, or is seen to have done so.
    layout::Device& device = segment().device(owner_.device_index());
    fabric::RobustLock lock(segment(), device.lock, owner_.attachment().process());
    bool there = made_it || (record_.owner.load(std::memory_order_acquire) != 0 &&
                             record_.domain.load(std::memory_order_acquire) == domain.number);
    if (!there) return segment().give_back_share(*claimed), EINVAL;
    record.domain.store(domain.number, std::memory_order_release);
    record_.domain.store(domain.number, std::memory_order_release);
  }
  share_ = *claimed;
  domain_ = &domain;
  domain_number_ = domain.number;
  ++domain.users;
  qp_base.state = static_cast<ibv_qp_state>(record_.state.load(std::memory_order_acquire));
  segment().header().sharing_epoch.fetch_add(1, std::memory_order_release);
  return 0;
}

void QueuePair::visit(uint64_t domain) {
  domain_number_ = domain;
  qp_base.state = static_cast<ibv_qp_state>(record_.state.load(std::memory_order_acquire));
}

bool QueuePair::owned() const {
  return record_.owner.load() == owner_.attachment().process() + 1 &&
         record_.context == owner_.record_index();
}

// Gives up this share; whether the queue pair lives on with others.
bool QueuePair::leave() {
  if (!domain_) return !made_;
  --domain_->users;
  layout::Device& device = segment().device(owner_.device_index());
  fabric::RobustLock lock(segment(), device.lock, owner_.attachment().process());
  segment().give_back_share(share_);
  return !owned() || segment().hand_over(number_, owner_.attachment().process());
}

// -------------------------------------------------------------------------------------------------
// Turns.

void QueuePair::refresh() {
  auto state = static_cast<ibv_qp_state>(record_.state.load(std::memory_order_acquire));
  memcpy(&attributes_, record_.attributes, sizeof attributes_);
  peer_ = &segment().queue_pair(record_.peer_number.load() % layout::kMaxQueuePairs);
  uint64_t life = record_.life.load(std::memory_order_acquire);
  if (life != adopted_life_) {
    adopted_life_ = life;
    adopted_ = 0;
    topology_epoch_ = 0;
  }
  await(record_.settled.load(std::memory_order_acquire));
  last_settled_ticks_ = record_.settled_ticks.load(std::memory_order_relaxed);
  if (state == qp_base.state) return;
  qp_base.state = state;
  if (!receiving()) refusing_ = holding_ = underway_ = false;
  uint32_t event = record_.error_event.load();
  if (state == IBV_QPS_ERR && domain_ && event != layout::kNoEvent) {
    owner_.raise(static_cast<ibv_event_type>(event), &qp_base);
  }
}

void QueuePair::show_attributes() {
  static_assert(sizeof attributes_ <= sizeof record_.attributes);
  if (shared_receiver()) memcpy(record_.attributes, &attributes_, sizeof attributes_);
}

// Those who share it see that it is in error when they look.
void QueuePair::tell_sharers() const {
  for (uint32_t i = 0; i < segment().header().shares_used.load(); ++i) {
    const layout::Share& other = segment().share(i);
    if (other.domain.load(std::memory_order_acquire) != domain_number_) continue;
    if (other.queue_pair == number_) ring_owner(other.owner.load(), false);
  }
}

// Whether this handle has anything to do, without the lock: it is asked at every poll.
bool QueuePair::has_work() {
  if (record_.domain.load(std::memory_order_acquire) != domain_number_) return false;  // it is gone
  if (record_.state.load(std::memory_order_acquire) != static_cast<uint32_t>(qp_base.state))
    return true;
  if (!receiving()) return false;
  const layout::QueuePair& peer =
      segment().queue_pair(record_.peer_number.load() % layout::kMaxQueuePairs);
  uint64_t connection = peer.connection.load(std::memory_order_acquire);
  bool adopted = adopted_ != 0 && adopted_ == connection && record_.life.load() == adopted_life_;
  if (!adopted) return connection != 0;
  await(record_.settled.load(std::memory_order_acquire));
  const layout::Slot& slot = next_slot();
  return arrived(slot) && is_mine(slot);
}

bool QueuePair::progress_shared() {
  if (turns_ == 0 && !has_work()) return false;
  Turn turn(*this);
  if (!receiving() || record_.domain.load() != domain_number_) return false;
  bool settled = settle_arrivals();
  if (settled) wake_next_settler();
  return settled;
}

// -------------------------------------------------------------------------------------------------
// Whose a message is.

const layout::SharedQueue* QueuePair::named_by(const layout::Slot& slot) const {
  return segment().find_shared_queue(name_in(slot, slot_bytes_), domain_number_);
}

// As the sender.
const layout::SharedQueue* QueuePair::named_by(const Send& send) const {
  if (!send.on_wire) return nullptr;
  const auto& slot = *reinterpret_cast<const layout::Slot*>(
      segment().bytes_at(record_.ring + (send.wire & send_mask_) * record_.slot_bytes));
  return segment().find_shared_queue(name_in(slot, record_.slot_bytes),
                                     peer_record().domain.load());
}

bool QueuePair::is_mine(const layout::Slot& slot) const {
  const layout::SharedQueue* named = named_by(slot);
  if (!named) return owned();
  return named->owner.load() == owner_.attachment().process() + 1 &&
         named->context == owner_.record_index();
}

bool QueuePair::find_shared_queue(const layout::Slot& slot) {
  uint64_t number = name_in(slot, slot_bytes_);
  shared_ = nullptr;
  for (SharedReceiveQueue* queue : owner_.shared_queues) {
    if (queue->number == number && queue->completions) shared_ = queue;
  }
  return shared_ != nullptr;
}

// Another process may have looked while it was not its turn yet, and sleep now.
void QueuePair::wake_next_settler() const {
  if (adopted_ == 0) return;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const layout::Slot& slot = next_slot();
  if (!arrived(slot) || is_mine(slot)) return;
  const layout::SharedQueue* named = named_by(slot);
  ring_owner(named ? named->owner.load() : record_.owner.load(), true);
}

// Whoever died takes no messages any more: what is for it has to be refused by whoever is left.
void QueuePair::look_for_dead_sharers() const {
  if (completed_ != posted_) {
    const layout::SharedQueue* named = named_by(send_at(completed_));
    if (named) segment().reap_if_dead(named->owner);
  }
  segment().reap_if_dead(peer_record().owner);
  ring_peer(true);
}

}  // namespace railyard::sim
