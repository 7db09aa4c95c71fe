// Sends that were dropped before they were posted: their senders get a completion all the same, in
// its turn, as from a device whose message is lost on the way.
#pragma once

#include <infiniband/verbs.h>

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

namespace railyard::passthrough {

// Keeps no books unless there is a rule that drops. Thread-safe.
class Drops {
 public:
  static Drops& instance();

  bool possible() const { return possible_; }
  void created(const ibv_qp* pair, bool all_signaled);
  void destroyed(const ibv_cq* queue);
  void posted(const ibv_qp* pair, const ibv_send_wr& request);
  void dropped(const ibv_qp* pair, const ibv_send_wr& request);
  // A completion that the device has given.
  void note(const ibv_context* context, const ibv_wc& completion);
  // The next completion of a dropped send that is due, once the device's own are through; false:
  // none is.
  bool take(const ibv_cq* queue, ibv_wc& completion);

 private:
  struct Pair {
    bool all_signaled = false;
    uint64_t posted = 0, completed = 0;  // sends that give a completion
  };
  struct Owed {
    ibv_wc completion;
    uint64_t after;  // the pair's sends before it
  };

  Drops();

  bool possible_ = false;
  std::mutex mutex_;
  std::map<std::pair<const ibv_context*, uint32_t>, Pair> pairs_;
  std::map<const ibv_cq*, std::deque<Owed>> owed_;
};

}  // namespace railyard::passthrough
