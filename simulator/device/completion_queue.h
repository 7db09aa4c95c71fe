// A completion queue and the channel that tells of it.
#pragma once

#include <infiniband/verbs.h>

#include <atomic>
#include <memory>
#include <vector>

#include "device/attachment.h"
#include "device/event_pipe.h"

namespace railyard::sim {

class Context;
class QueuePair;

struct Channel : ibv_comp_channel {
  EventPipe pipe;
};

// The completion that ibv_start_poll and ibv_next_poll show.
struct Completion {
  ibv_wc wc;
  uint64_t ticks;
};

// Guarded by its context's lock, but for the counts of events (by ibv_cq's own mutex, as programs
// may acknowledge from any thread).
class CompletionQueue : public ibv_cq_ex {
 public:
  CompletionQueue(Context& owner, uint32_t record_index, uint32_t entries, Channel* channel,
                  void* user);

  static CompletionQueue* from(ibv_cq* queue) { return reinterpret_cast<CompletionQueue*>(queue); }
  ibv_cq* face() { return reinterpret_cast<ibv_cq*>(static_cast<ibv_cq_ex*>(this)); }

  Context& owner() { return owner_; }
  uint32_t record_index() const { return record_index_; }

  bool empty() const { return read_ == written_; }
  uint64_t size() const { return written_ - read_; }
  uint32_t entries() const { return entries_; }
  // Completions since it was made.
  uint64_t written() const { return written_; }
  uint64_t read() const { return read_; }
  // It lost one: whoever completes here is done for.
  bool overrun() const { return overrun_; }

  // Room for the next completion, cleared. It is there for all once it is filled and published;
  // `solicited`: it may wake who waits for solicited events only. A full queue loses it and tells
  // by an asynchronous event.
  ibv_wc& add() {
    direct_ = taken_ < wanted_ && empty();
    ibv_wc* place = &lost_;
    if (direct_) [[likely]]
      place = &out_[taken_];
    else if (size() < entries_) [[likely]]
      place = &ring_[written_ & (capacity_ - 1)];
    *place = {};
    return *place;
  }
  [[gnu::always_inline]] void publish(const ibv_wc& completion, bool solicited) {
    if (&completion == &lost_) [[unlikely]]
      return lose();
    if (ticks_) [[unlikely]]
      note_time();
    record_.written.store(++written_, std::memory_order_relaxed);
    if (solicited || completion.status != IBV_WC_SUCCESS) solicited_ = written_;
    if (direct_) [[likely]]
      count_taken();
    if (armed_ != 0) [[unlikely]]
      tell_of_latest();
  }

  // Takes the oldest completions, at most `count`. Until end_taking(), which says how many were
  // taken in all, new ones go straight to their place in `out`: a copy of what was written a moment
  // ago is slow.
  void begin_taking(ibv_wc* out, int count) {
    out_ = out;
    wanted_ = count;
    taken_ = 0;
    if (!empty()) [[unlikely]]
      take_written();
  }
  int taken() const { return taken_; }
  int end_taking() {
    wanted_ = 0;
    return taken_;
  }

  // From now on completions carry the time when they were written.
  void keep_times() { ticks_ = std::make_unique_for_overwrite<uint64_t[]>(capacity_); }
  // Tells the port how many messages of a queue pair, which is about to go, had arrived and were
  // never read.
  void count_unread(uint32_t queue_pair) const;

  // Takes out what is of a queue pair that is no more, or begins anew: its program shall not take
  // that for completions of what it posts next (mlx5 does the same, cq.c: mlx5_cq_clean).
  void discard(uint32_t queue_pair);

  // Makes room for `entries`; false: more are in it.
  bool resize(uint32_t entries);
  void arm(bool solicited_only);
  bool armed() const { return armed_ != 0; }
  void set_armed_for_peers();

  // The queue pairs whose completions come here.
  std::vector<QueuePair*> senders, receivers;
  uint32_t shared_queues = 0;  // XRC's, whose completions come here
  // Polls since one found something. Threads may poll at once, and none needs to be counted
  // exactly.
  std::atomic<uint32_t> polls_without = 0;
  uint32_t events_taken = 0;  // by ibv_get_cq_event()
  Completion current{};

 private:
  void lose();
  void take_written();
  void note_time();
  void tell_of_latest();      // if whoever waits for events wants to hear of it
  void tell(uint64_t count);  // of so many completions
  [[gnu::always_inline]] void count_taken() {
    ++taken_;
    if (ticks_) [[unlikely]]
      current.ticks = ticks_[read_ & (capacity_ - 1)];
    record_.read.store(++read_, std::memory_order_relaxed);
  }

  Context& owner_;
  uint32_t record_index_;
  layout::CompletionQueue& record_;
  uint32_t entries_;
  uint64_t capacity_;  // a power of two, at least entries_
  std::unique_ptr<ibv_wc[]> ring_;
  std::unique_ptr<uint64_t[]> ticks_;  // of the ring's completions; none: nobody asked for times
  uint64_t written_ = 0, read_ = 0;
  uint64_t told_ = 0;       // so many of them have had their event
  uint64_t solicited_ = 0;  // written_ after the last one that may wake who waits for such
  ibv_wc* out_ = nullptr;   // of the poll that goes on
  int wanted_ = 0, taken_ = 0;
  bool direct_ = false;  // the completion that is being written goes there
  ibv_wc lost_{};        // what there was no room for
  uint32_t armed_ = 0;   // 1: any completion, 2: solicited ones
  bool overrun_ = false;
};

}  // namespace railyard::sim
