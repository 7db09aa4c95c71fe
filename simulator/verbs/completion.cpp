// Completion queues and channels.
#include <sched.h>

#include <cerrno>
#include <mutex>

#include "device/completion_queue.h"
#include "device/context.h"
#include "device/gate.h"
#include "device/message_path.h"
#include "device/queue_pair.h"
#include "platform/process.h"
#include "verbs/export.h"
#include "verbs/operations.h"

namespace railyard::sim {

namespace {

// Empty polls after which the core is offered to others: the peer may need it to send what is
// awaited. Where each process can have a core of its own only strangers would take it, and keep it
// for a whole time slice.
constexpr uint32_t kPollsPerYield = 64, kPollsPerYieldAlone = 4096;
static_assert(kPollsPerYieldAlone % kPollsPerYield == 0);

bool crowded(const Segment& segment) {
  static const auto cores = static_cast<uint32_t>(platform::usable_processors());
  return segment.header().processes_used.load(std::memory_order_relaxed) > cores;
}

// A program that polls one queue again and again waits for it, and what it does in between
// (perftest asks for the time) takes longer than to look: so a poll looks a few times, a few
// nanoseconds each. Not where others want the core.
constexpr int kLooks = 5;

bool polled_before(CompletionQueue& queue) {
  const CompletionQueue*& latest = queue.owner().latest_polled;
  bool before = latest == &queue && queue.polls_without.load(std::memory_order_relaxed) != 0;
  latest = &queue;
  return before;
}

// Brings what has happened into an empty queue, or to who polls it. Under the lock.
[[gnu::always_inline]] inline void look(CompletionQueue& queue) {
  for (QueuePair* pair : queue.receivers) pair->progress_receives();
  if (queue.taken() == 0 && queue.receivers.size() == 1 && !crowded(queue.owner().segment()) &&
      polled_before(queue)) {
    for (int looks = 1; looks < kLooks && !queue.receivers.front()->progress_receives(); ++looks) {
    }
  }
  for (QueuePair* pair : queue.senders) pair->progress_sends();
  // The receivers of XRC have no queue of their own: any message may end in this one.
  if (queue.shared_queues != 0) queue.owner().progress_all();
  // A program may poll one queue and forget another, whose peers wait all the same.
  uint32_t polls = queue.polls_without.load(std::memory_order_relaxed);
  if (polls % kPollsPerYield == kPollsPerYield - 1) queue.owner().progress_all();
}

[[gnu::always_inline]] inline int take(CompletionQueue& queue, int count, ibv_wc* out) {
  std::lock_guard guard(queue.owner().lock);
  queue.begin_taking(out, count);
  if (queue.taken() == 0) look(queue);
  return queue.end_taking();
}

[[gnu::noinline]] int take_again(CompletionQueue& queue, int count, ibv_wc* out) {
  return take(queue, count, out);
}

// Offers the core to others when it is time; whether they have had it.
[[gnu::noinline]] bool after_many_polls(CompletionQueue& queue, uint32_t polls) {
  queue.owner().attachment().date_progress();
  if (!crowded(queue.owner().segment()) && polls % kPollsPerYieldAlone != 0) return false;
  sched_yield();
  return true;
}

// Whether the core has been with others since.
inline bool after_empty_poll(CompletionQueue& queue) {
  auto& count = queue.owner().attachment().record().empty_polls;
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  uint32_t polls = queue.polls_without.load(std::memory_order_relaxed) + 1;
  queue.polls_without.store(polls, std::memory_order_relaxed);
  return polls % kPollsPerYield == 0 && after_many_polls(queue, polls);
}

int end_poll(CompletionQueue& queue, ibv_wc* out, int taken) {
  queue.polls_without.store(0, std::memory_order_relaxed);
  alter_completions(queue.owner().attachment(), out, taken);
  queue.owner().attachment().count_progress(static_cast<uint64_t>(taken));
  return taken;
}

}  // namespace

int poll(ibv_cq* face, int count, ibv_wc* out) {
  CompletionQueue& queue = *CompletionQueue::from(face);
  if (pass_gate(queue.owner().attachment(), Verb::poll_cq)) return -1;
  int taken = take(queue, count, out);
  // What came while others had the core is no news to the peer, which may be gone by now: libfabric
  // closes a queue pair when it finds "no completion" and then "disconnected".
  if (taken == 0 && after_empty_poll(queue)) taken = take_again(queue, count, out);
  return taken == 0 ? 0 : end_poll(queue, out, taken);
}

int request_notification(ibv_cq* face, int solicited_only) {
  CompletionQueue& queue = *CompletionQueue::from(face);
  if (int error = enter(queue.owner(), Verb::req_notify_cq)) return error;
  std::lock_guard guard(queue.owner().lock);
  queue.arm(solicited_only != 0);
  // Whoever sends from here on sees that the queue is armed; what came before is brought in now.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  look(queue);
  for (QueuePair* pair : queue.senders) {
    if (pair->sends_outstanding()) pair->ring_peer(true);
  }
  return 0;
}

ibv_cq_ex* create_completion_queue(ibv_context* face, ibv_cq_init_attr_ex* wanted) {
  Context& context = Context::from(face);
  if (enter(context, Verb::create_cq)) return nullptr;
  constexpr uint32_t kKnown = IBV_CQ_INIT_ATTR_MASK_FLAGS | IBV_CQ_INIT_ATTR_MASK_PD;
  if (wanted->cqe == 0 || wanted->cqe > static_cast<uint32_t>(context.profile().max_completions) ||
      wanted->comp_vector >= static_cast<uint32_t>(face->num_comp_vectors) ||
      (wanted->comp_mask & ~kKnown)) {
    return errno = EINVAL, nullptr;
  }
  if (int error = context.take(Resource::completion_queues)) return errno = error, nullptr;
  std::optional<uint32_t> record =
      context.segment().claim_completion_queue(context.attachment().process());
  if (!record) return context.give_back(Resource::completion_queues), nullptr;
  context.segment().completion_queue(*record).context = context.record_index();
  auto* channel = static_cast<Channel*>(wanted->channel);
  auto* queue = new CompletionQueue(context, *record, wanted->cqe, channel, wanted->cq_context);
  install_operations(*queue);
  constexpr uint64_t kTimes =
      IBV_WC_EX_WITH_COMPLETION_TIMESTAMP | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK;
  if (wanted->wc_flags & kTimes) queue->keep_times();
  std::lock_guard guard(context.lock);
  if (channel) ++channel->refcnt;
  context.completion_queues.push_back(queue);
  return queue;
}

}  // namespace railyard::sim

using namespace railyard::sim;

RAILYARD_VERB ibv_cq* ibv_create_cq(ibv_context* face, int entries, void* user,
                                    ibv_comp_channel* channel, int vector) {
  if (entries < 1 || vector < 0) return errno = EINVAL, nullptr;
  ibv_cq_init_attr_ex wanted{};
  wanted.cqe = static_cast<uint32_t>(entries);
  wanted.cq_context = user;
  wanted.channel = channel;
  wanted.comp_vector = static_cast<uint32_t>(vector);
  return reinterpret_cast<ibv_cq*>(create_completion_queue(face, &wanted));
}

RAILYARD_VERB int ibv_resize_cq(ibv_cq* face, int entries) {
  CompletionQueue& queue = *CompletionQueue::from(face);
  if (int error = enter(queue.owner(), Verb::resize_cq)) return error;
  if (entries < 1 || entries > queue.owner().profile().max_completions) return errno = EINVAL;
  std::lock_guard guard(queue.owner().lock);
  look(queue);
  return queue.resize(static_cast<uint32_t>(entries)) ? 0 : (errno = EINVAL);
}

namespace {

// ibv_destroy_cq(3), ibv_destroy_qp(3): both wait until every event has been acknowledged.
void await_acknowledgements(pthread_mutex_t& mutex, pthread_cond_t& changed,
                            const uint32_t& acknowledged, uint32_t delivered) {
  pthread_mutex_lock(&mutex);
  while (acknowledged != delivered) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}

}  // namespace

RAILYARD_VERB int ibv_destroy_cq(ibv_cq* face) {
  CompletionQueue& queue = *CompletionQueue::from(face);
  Context& context = queue.owner();
  if (int error = enter(context, Verb::destroy_cq)) return error;
  {
    std::lock_guard guard(context.lock);
    if (!queue.senders.empty() || !queue.receivers.empty() || queue.shared_queues != 0)
      return errno = EBUSY;
    if (face->channel) --face->channel->refcnt;
    std::erase(context.completion_queues, &queue);
  }
  await_acknowledgements(face->mutex, face->cond, face->comp_events_completed, queue.events_taken);
  context.segment()
      .completion_queue(queue.record_index())
      .owner.store(0, std::memory_order_release);
  context.give_back(Resource::completion_queues);
  delete &queue;
  return 0;
}

RAILYARD_VERB ibv_comp_channel* ibv_create_comp_channel(ibv_context* face) {
  Context& context = Context::from(face);
  if (enter(context, Verb::create_comp_channel)) return nullptr;
  auto* channel = new Channel{};
  if (int error = channel->pipe.open()) {
    delete channel;
    return errno = error, nullptr;
  }
  channel->context = face;
  channel->fd = channel->pipe.descriptor();
  return channel;
}

RAILYARD_VERB int ibv_destroy_comp_channel(ibv_comp_channel* channel) {
  if (int error = enter(Context::from(channel->context), Verb::destroy_comp_channel)) return error;
  if (channel->refcnt != 0) return errno = EBUSY;
  delete static_cast<Channel*>(channel);
  return 0;
}

RAILYARD_VERB int ibv_get_cq_event(ibv_comp_channel* face, ibv_cq** out, void** user) {
  auto& channel = *static_cast<Channel*>(face);
  const Attachment& attachment = Context::from(face->context).attachment();
  if (int error = pass_gate(attachment, Verb::get_cq_event)) return errno = error, -1;
  ibv_cq* queue = nullptr;
  {
    std::optional<Blocked> blocked;
    if (channel.pipe.empty()) {
      attachment.note_verb(Verb::get_cq_event);
      blocked.emplace(attachment, layout::WaitReason::completion_event, layout::kNowhere);
    }
    if (channel.pipe.get(&queue, sizeof queue) != 0) return -1;
  }
  attachment.note_verb(Verb::get_cq_event);
  ++CompletionQueue::from(queue)->events_taken;
  *out = queue;
  *user = queue->cq_context;
  return 0;
}

RAILYARD_VERB void ibv_ack_cq_events(ibv_cq* queue, unsigned count) {
  pthread_mutex_lock(&queue->mutex);
  queue->comp_events_completed += count;
  pthread_cond_signal(&queue->cond);
  pthread_mutex_unlock(&queue->mutex);
}
