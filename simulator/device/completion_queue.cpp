#include "device/completion_queue.h"

#include <algorithm>
#include <bit>

#include "device/context.h"
#include "device/queue_pair.h"
#include "device/shared_receive_queue.h"

namespace railyard::sim {

CompletionQueue::CompletionQueue(Context& owner, uint32_t record_index, uint32_t entries,
                                 Channel* completion_channel, void* user)
    : ibv_cq_ex{},
      owner_(owner),
      record_index_(record_index),
      record_(owner.attachment().segment().completion_queue(record_index)),
      entries_(entries),
      capacity_(std::bit_ceil(uint64_t{entries})),
      // Not initialised: a program may ask for millions and use a few, whose pages alone are
      // touched.
      ring_(std::make_unique_for_overwrite<ibv_wc[]>(capacity_)) {
  context = owner.face();
  channel = completion_channel;
  cq_context = user;
  handle = record_index;
  cqe = static_cast<int>(entries);
  pthread_mutex_init(&mutex, nullptr);
  pthread_cond_init(&cond, nullptr);
  record_.written.store(0);
  record_.read.store(0);
  record_.armed.store(0);
}

void CompletionQueue::lose() {
  if (!overrun_) owner_.raise(IBV_EVENT_CQ_ERR, face());
  if (!overrun_) owner_.fail_later();
  overrun_ = true;
}

void CompletionQueue::note_time() {
  ticks_[written_ & (capacity_ - 1)] = owner_.segment().now_ticks();
}

void CompletionQueue::tell_of_latest() {
  if (armed_ == 1 || solicited_ == written_) tell(written_);
}

void CompletionQueue::tell(uint64_t count) {
  told_ = count;
  armed_ = 0;
  set_armed_for_peers();
  ibv_cq* self = face();
  static_cast<Channel*>(channel)->pipe.put(&self, sizeof self);
}

void CompletionQueue::count_unread(uint32_t queue_pair) const {
  uint64_t unread = 0;
  for (uint64_t i = read_; i != written_; ++i) {
    const ibv_wc& wc = ring_[i & (capacity_ - 1)];
    unread +=
        wc.qp_num == queue_pair && wc.status == IBV_WC_SUCCESS && (wc.opcode & IBV_WC_RECV) != 0;
  }
  if (unread != 0) owner_.segment().port(owner_.port_index()).unread.fetch_add(unread);
}

void CompletionQueue::take_written() {
  for (; taken_ < wanted_ && !empty(); count_taken()) out_[taken_] = ring_[read_ & (capacity_ - 1)];
}

void CompletionQueue::discard(uint32_t queue_pair) {
  // What stays moves to the newest end: the count of what was written only grows.
  uint64_t to = written_;
  for (uint64_t i = written_; i-- != read_;) {
    uint64_t from = i & (capacity_ - 1);
    if (ring_[from].qp_num == queue_pair) continue;
    --to;
    ring_[to & (capacity_ - 1)] = ring_[from];
    if (ticks_) ticks_[to & (capacity_ - 1)] = ticks_[from];
  }
  read_ = to;
  record_.read.store(read_, std::memory_order_relaxed);
}

bool CompletionQueue::resize(uint32_t wanted) {
  if (size() > wanted) return false;
  uint64_t capacity = std::bit_ceil(uint64_t{wanted});
  auto moved = [&](const auto& from) {
    auto to = std::make_unique_for_overwrite<std::decay_t<decltype(from[0])>[]>(capacity);
    for (uint64_t i = read_; i != written_; ++i) to[i & (capacity - 1)] = from[i & (capacity_ - 1)];
    return to;
  };
  ring_ = moved(ring_);
  if (ticks_) ticks_ = moved(ticks_);
  capacity_ = capacity;
  entries_ = wanted;
  cqe = static_cast<int>(wanted);
  return true;
}

void CompletionQueue::arm(bool solicited_only) {
  if (!channel) return;
  armed_ = solicited_only ? (armed_ == 1 ? 1 : 2) : 1;
  set_armed_for_peers();
  if (!owner_.profile().arming_tells_unread) return;
  uint64_t known = std::max(read_, told_);
  uint64_t newest = armed_ == 1 ? written_ : solicited_;
  if (newest > known) tell(armed_ == 1 ? known + 1 : newest);
}

void CompletionQueue::set_armed_for_peers() {
  record_.armed.store(armed_ != 0, std::memory_order_relaxed);
  for (QueuePair* pair : senders) pair->update_attention();
  for (QueuePair* pair : receivers) pair->update_attention();
  if (shared_queues == 0) return;
  for (const SharedReceiveQueue* queue : owner_.shared_queues) {
    if (queue->completions == this) queue->update_attention();
  }
}

}  // namespace railyard::sim
