// Whether the memory of sends stays as it was until they are complete. What changes it before that
// is a producer that had not finished, or one that began again too early.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "passthrough/device.h"

namespace railyard::passthrough {

// Looks at up to 512 words of each piece, evenly spread. Keeps no books unless kWatchVariable is
// set. Thread-safe.
class Watch {
 public:
  static Watch& instance();

  bool on() const { return on_; }
  void registered(const ibv_mr& region);
  void deregistered(const ibv_mr& region);
  void created(const ibv_qp& pair, bool all_signaled);
  void destroyed(const ibv_context* context, uint32_t number);
  // Before the device has it; `withdraw` where the device then refuses it.
  void posted(const ibv_qp& pair, const ibv_send_wr& request);
  void withdraw(const ibv_qp& pair);
  void completed(const ibv_context* context, DeviceSeen& seen, const ibv_wc& completion);

 private:
  struct Send {
    bool signaled;
    uint64_t digest;  // 0: its memory is not looked at
    std::vector<ibv_sge> pieces;
  };
  struct Pair {
    bool all_signaled = false;
    std::deque<Send> sends;
  };
  struct Region {
    uint64_t from, to;
  };
  using Key = std::pair<const ibv_context*, uint32_t>;  // of a queue pair, of a region

  Watch();
  uint64_t digest(const ibv_context* context, const std::vector<ibv_sge>& pieces) const;

  bool on_ = false;
  std::mutex mutex_;
  std::map<Key, Pair> pairs_;
  std::map<Key, Region> regions_;  // what may be read without a crash
};

}  // namespace railyard::passthrough
