#include "device/attachment.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "device/context.h"
#include "fabric/own_node.h"
#include "platform/cross_copy.h"
#include "platform/doorbell.h"
#include "platform/large_pages.h"
#include "platform/process.h"
#include "railyard/fabric.h"

namespace railyard::sim {

namespace {

// What another process reads to prove that it may read this one's memory.
const uint64_t kProbe = layout::kMagic;

std::atomic<Attachment*> g_current{nullptr};
std::mutex g_attaching;
bool g_tried = false;

void complain(const char* what) { fprintf(stderr, "railyard: %s\n", what); }

// How long the helper stays awake after its last work: a burst of one-sided operations should not
// pay for a wake-up each.
constexpr double kAwakeNs = 50'000;
// A core that was given away and did not come back within so long is wanted by others. Who sleeps
// is scheduled at once when it is woken; who merely waits for its turn may wait for a whole time
// slice.
constexpr double kTurnNs = 10'000;
// While there is work the core is offered to others that often: each offer takes as long as to copy
// 40 KB.
constexpr double kOfferNs = 200'000;
// How often to look at what nobody may ring for: a peer that died, a timer.
constexpr int64_t kWatchNs = 50'000'000;
constexpr int64_t kTimerNs = 200'000;
// Copies of a block before it is laid in a large page.
constexpr int64_t kWorthMerging = 4;

}  // namespace

Attachment* Attachment::current() {
  Attachment* found = g_current.load(std::memory_order_acquire);
  if (found) return found;
  std::lock_guard lock(g_attaching);
  if (g_tried) return g_current.load();
  static std::once_flag forks;
  std::call_once(forks,
                 [] { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); });
  g_tried = true;
  g_current.store(attach(), std::memory_order_release);
  return g_current.load();
}

// One fork after the other, as only one of these lets another in between.
void Attachment::before_fork() {
  if (Attachment* current = g_current.load()) current->shared_pages_.before_fork();
}

void Attachment::after_fork_in_parent() {
  if (Attachment* current = g_current.load()) current->shared_pages_.after_fork_in_parent();
}

// The child's threads and claims are the parent's; it starts anew when it asks again.
void Attachment::after_fork_in_child() {
  if (Attachment* current = g_current.load()) current->shared_pages_.after_fork_in_child();
  g_current.store(nullptr);
  g_tried = false;
}

Attachment::Attachment(Segment segment, uint32_t node)
    : segment_(std::move(segment)),
      node_(node),
      hot_memory_(platform::large_page_bytes(), kWorthMerging),
      hot_for_peers_(SharedPages::kWindowBytes, SharedPages::choice() == SharedPages::Choice::always
                                                    ? 0
                                                    : SharedPages::kWorthIt),
      shared_pages_(segment_) {}

Attachment* Attachment::attach() {
  const char* name = getenv("RAILYARD_FABRIC");
  if (!name || !*name) return nullptr;
  try {
    Segment segment = Segment::open(name);
    std::optional<uint32_t> node = fabric::own_node(segment.header().node_count);
    if (!node) {
      const char* named = getenv("RAILYARD_NODE");
      bool launcher = named && strcmp(named, "rank") == 0;  // which has no use for devices
      if (!launcher) complain("RAILYARD_NODE must be the number of a node: no devices");
      return nullptr;
    }
    if (*node >= segment.header().node_count) {
      complain("RAILYARD_NODE is not a node of this fabric: no devices");
      return nullptr;
    }
    return new Attachment(std::move(segment), *node);
  } catch (const fabric::Error& error) {
    complain(error.what());
    return nullptr;
  }
}

int Attachment::join() {
  std::lock_guard lock(mutex_);
  if (record_) return 0;
  std::optional<uint32_t> claimed = segment_.claim_process();
  if (!claimed) return errno;
  layout::Process& record = segment_.process(*claimed);
  record.pid = getpid();
  record.start_time = platform::process_start_time(record.pid);
  record.node = node_;
  record.probe_address = reinterpret_cast<uint64_t>(&kProbe);
  record.trace = 0;
  record.trace_count.store(0);
  record.progress.store(0);
  record.empty_polls.store(0);
  record.blocked.store(0);
  record.blocked_device.store(layout::kNowhere);
  record.helper_asleep.store(0);
  record.completions.store(0);
  record.shared_pages.store(0);
  record.moving_pages.store(0);
  record.wanted_pages.store(0);
  for (auto& count : record.calls) count.store(0);
  process_ = *claimed;
  shared_pages_.open(process_);
  record_ = &record;
  platform::allow_cross_copy();

  // The program's signals are not the helper's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  auto body = [](void* self) -> void* {
    static_cast<Attachment*>(self)->help();
    return nullptr;
  };
  int result = pthread_create(&thread, nullptr, body, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (result == 0) pthread_detach(thread);
  record.state.store(layout::state_with(layout::kLive, record.pid), std::memory_order_release);
  note_progress(segment_.now_ticks());
  return result;
}

void Attachment::add(Context* context) {
  std::lock_guard lock(mutex_);
  contexts_.push_back(context);
}

void Attachment::remove(Context* context) {
  std::lock_guard lock(mutex_);
  std::erase(contexts_, context);
}

void Attachment::note_verb(Verb verb) const {
  uint64_t now = segment_.now_ticks();
  record_->verb.store(static_cast<uint32_t>(verb), std::memory_order_relaxed);
  record_->verb_ticks.store(now, std::memory_order_relaxed);
  note_progress(now);
}

Attachment::Round Attachment::attend() {
  std::lock_guard lock(mutex_);
  Round round;
  auto at_most = [&](int64_t ns) {
    round.sleep_ns = round.sleep_ns < 0 ? ns : std::min(round.sleep_ns, ns);
  };
  for (Context* context : contexts_) {
    Context::Duties duties = context->attend();
    round.worked |= duties.worked;
    if (duties.timer) at_most(kTimerNs);
    if (duties.watch) at_most(kWatchNs);
  }
  return round;
}

void Attachment::wake_helper() { platform::ring_bell(record_->doorbell); }

// What peers reach into is better laid where they have it; until then, and at the other end of such
// copies, large pages make them less slow.
void Attachment::mend_hot_memory() {
  hot_memory_.for_each_wanted([this](uintptr_t block) {
    auto* address = reinterpret_cast<std::byte*>(block);
    if (!shared_pages_.any_of(address, platform::large_page_bytes())) {
      platform::merge_pages(address);
    }
  });
  hot_for_peers_.for_each_wanted(
      [this](uintptr_t window) { share_pages(window, window + SharedPages::kWindowBytes); });
  if (record_->wanted_pages.load(std::memory_order_relaxed) == 0) return;
  uint64_t wanted = record_->wanted_pages.exchange(0, std::memory_order_acquire);
  share_pages(wanted, wanted + 1);
}

// Lays the pages of registered memory into the segment that lie there and around there.
void Attachment::share_pages(uintptr_t begin, uintptr_t end) {
  if (!shared_pages_.possible()) return;
  std::lock_guard lock(mutex_);
  for (Context* context : contexts_) {
    // While it is held no region goes.
    std::lock_guard guard(context->lock);
    context->regions.for_each([&](const Region& region) {
      auto first = reinterpret_cast<uintptr_t>(region.base);
      if (region.window || first >= end || first + region.bytes <= begin) return;
      shared_pages_.share(region.base, region.bytes, begin);
    });
  }
}

void Attachment::help() {
  uint64_t awake = segment_.ticks_in_ns(kAwakeNs), turn = segment_.ticks_in_ns(kTurnNs);
  uint64_t offer = segment_.ticks_in_ns(kOfferNs);
  uint64_t last_work = 0, last_offer = 0;
  for (;;) {
    uint32_t seen = record_->doorbell.load(std::memory_order_acquire);
    bool worked = attend().worked;
    mend_hot_memory();
    date_progress();
    uint64_t now = platform::ticks();
    if (worked) last_work = now;
    if (worked && now - last_offer < offer) continue;
    if (now - last_work < awake) {
      sched_yield();
      last_offer = platform::ticks();
      if (last_offer - now < turn) continue;
      last_work = 0;
    }
    // Whoever posts next either sees that the helper sleeps, or is seen by this second look.
    record_->helper_asleep.store(1, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    Round round = attend();
    if (round.worked) {
      last_work = platform::ticks();
    } else {
      platform::wait_for_bell(record_->doorbell, seen, round.sleep_ns);
    }
    record_->helper_asleep.store(0, std::memory_order_relaxed);
  }
}

void Attachment::write_trace(const Event& event) const {
  if (record_->trace == 0) {
    record_->trace = segment_.allocate(layout::kTraceBytes, process_);
    if (record_->trace == 0) return;  // no room: the run goes on untraced
  }
  auto* records = reinterpret_cast<layout::TraceRecord*>(segment_.bytes_at(record_->trace));
  // Threads may race for a place; a reader sees by the lap which records are whole.
  uint64_t at = record_->trace_count.fetch_add(1, std::memory_order_relaxed);
  layout::TraceRecord& record = records[at % layout::kTraceEvents];
  record.lap.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  record.ticks = event.ticks != 0 ? event.ticks : segment_.now_ticks();
  record.message = event.message;
  record.bytes = static_cast<uint32_t>(event.bytes);
  record.queue_pair = event.queue_pair;
  record.request = static_cast<uint32_t>(event.request);
  record.kind = static_cast<uint8_t>(event.kind);
  record.detail = static_cast<uint8_t>(event.detail);
  record.lap.store(layout::trace_lap(at), std::memory_order_release);
}

Blocked::Blocked(const Attachment& attachment, layout::WaitReason reason, int32_t device)
    : record_(attachment.record()) {
  record_.wait_reason.store(static_cast<uint32_t>(reason), std::memory_order_relaxed);
  record_.blocked_device.store(device, std::memory_order_relaxed);
  record_.blocked.fetch_add(1, std::memory_order_release);
}

Blocked::~Blocked() {
  if (record_.blocked.fetch_sub(1, std::memory_order_release) == 1) {
    record_.blocked_device.store(layout::kNowhere, std::memory_order_relaxed);
  }
}

}  // namespace railyard::sim
