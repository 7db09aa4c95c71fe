// This process's place in the fabric that its environment names.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "device/hot_memory.h"
#include "device/shared_pages.h"
#include "fabric/segment.h"
#include "fabric/verb.h"

namespace railyard::sim {

using fabric::Segment;
using fabric::Verb;
namespace layout = fabric::layout;

class Context;

// RAILYARD_FABRIC names the segment, RAILYARD_NODE the node (see own_node()). There is one
// attachment a process; it is never destroyed, because threads and the program's own destructors
// may use it to the very end. A child of fork() gets one of its own when it first asks.
class Attachment {
 public:
  // nullptr when the environment names no fabric, or one that cannot be used (said once on stderr).
  static Attachment* current();

  const Segment& segment() const { return segment_; }
  const layout::Node& node() const { return segment_.node(node_); }

  // Takes a process record and starts the helper thread, once; 0 or an errno.
  int join();

  // After join().
  uint32_t process() const { return process_; }
  layout::Process& record() const { return *record_; }

  // The open devices, for the helper. remove() returns when the helper is not inside the context.
  void add(Context* context);
  void remove(Context* context);

  // A long payload is about to be copied from or to where these bytes lie: by a peer, or by this
  // process from or to a peer's memory.
  void note_copy_by_peer(const void* data, uint64_t bytes) {
    note_cross_copy(data, bytes);
    if (!shared_pages_.possible()) return;
    if (hot_for_peers_.note(data, bytes)) [[unlikely]]
      wake_helper();
  }
  // This is not registered any more. What is registered for one operation and for the next anew is
  // not worth sharing, however often that is.
  void deregistered(const std::byte* data, uint64_t bytes) {
    hot_for_peers_.forget(data, bytes);
    shared_pages_.take_back(data, bytes);
  }
  void note_cross_copy(const void* data, uint64_t bytes) {
    if (hot_memory_.note(data, bytes)) [[unlikely]]
      wake_helper();
  }
  void forbid_sharing() { shared_pages_.forbid(); }

  // Something happened that the program can see. Threads may race here: a lost count does no harm,
  // as watchers look for change.
  void note_progress(uint64_t ticks, uint64_t events = 1) const {
    count_progress(events);
    record_->progress_ticks.store(ticks, std::memory_order_relaxed);
  }
  // The same where reading the clock would cost more than all else: date_progress() follows when
  // there is time for it.
  void count_progress(uint64_t events = 1) const {
    auto& count = record_->progress;
    count.store(count.load(std::memory_order_relaxed) + events, std::memory_order_relaxed);
  }
  void date_progress() const {
    uint64_t count = record_->progress.load(std::memory_order_relaxed);
    if (dated_progress_.load(std::memory_order_relaxed) == count) return;
    dated_progress_.store(count, std::memory_order_relaxed);
    record_->progress_ticks.store(segment_.now_ticks(), std::memory_order_relaxed);
  }
  void note_verb(Verb verb) const;
  // See layout::TraceRecord.
  struct Event {
    layout::TraceKind kind;
    uint32_t queue_pair = 0;
    uint64_t message = 0;
    uint64_t request = 0;
    uint64_t bytes = 0;
    uint32_t detail = 0;
    uint64_t ticks = 0;  // 0: now
  };
  // Asked first where messages pass: putting an event together costs more than the question.
  bool tracing() const {
    return segment_.header().gate.load(std::memory_order_relaxed) & layout::kGateTrace;
  }
  void trace(const Event& event) const {
    if (tracing()) write_trace(event);
  }

 private:
  Attachment(Segment segment, uint32_t node);
  static Attachment* attach();
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
  void mend_hot_memory();
  void share_pages(uintptr_t begin, uintptr_t end);
  void help();
  void wake_helper();
  // Lets every context do what is due; whether anything was, and how long to sleep if not.
  struct Round {
    bool worked = false;
    int64_t sleep_ns = -1;
  };
  Round attend();
  void write_trace(const Event& event) const;

  Segment segment_;
  uint32_t node_;
  std::mutex mutex_;  // guards joining and the list of contexts
  uint32_t process_ = 0;
  layout::Process* record_ = nullptr;
  mutable std::atomic<uint64_t> dated_progress_{0};
  std::vector<Context*> contexts_;
  HotMemory hot_memory_, hot_for_peers_;
  SharedPages shared_pages_;
};

// Marks this thread as waiting inside a verb, for those who look on.
class Blocked {
 public:
  Blocked(const Attachment& attachment, layout::WaitReason reason, int32_t device);
  ~Blocked();
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;

 private:
  layout::Process& record_;
};

}  // namespace railyard::sim
