// Whether to leave a queue pair's one-sided operations to their target's process, or to reach into
// its memory. Reaching is a system call, 1.6 us for a few bytes; a target that polls, or whose
// helper is awake on a core of its own, takes 0.3 us. One that spins on memory with no core left
// for its helper takes milliseconds: nothing but waiting tells.
#pragma once

#include <algorithm>
#include <cstdint>

namespace railyard::sim {

class Patience {
 public:
  static constexpr uint32_t kTooManyPolls = 512;  // in vain, of several operations together

  // The target has carried an operation of so many bytes out, for which its initiator has polled in
  // vain so often.
  void waited(uint32_t polls, uint32_t bytes) {
    if (first_) {  // its helper had to be woken, perhaps
      first_ = false;
      return;
    }
    uint32_t fair = kFairPolls + bytes / kBytesPerPoll;
    if (polls < fair) {
      wasted_ -= std::min(wasted_, fair - polls);
      if (++calm_ == kCalm) window_ = kFirstWindow;
      return;
    }
    calm_ = 0;
    // A core may be gone for a while once; it takes several operations to know.
    if ((wasted_ += std::min(polls - fair, kMostOfOne)) < kTooManyPolls) return;
    wasted_ = 0;
    first_ = true;
    left_ = window_;
    window_ = std::min(2 * window_, kLongestWindow);
  }
  bool lost() const { return left_ != 0; }
  // An operation has been carried out by reaching; after many the target is tried again.
  void spend() {
    if (left_ != 0) --left_;
  }

 private:
  // A poll that finds nothing takes some 25 ns.
  static constexpr uint32_t kFairPolls = 64, kBytesPerPoll = 256;
  static constexpr uint32_t kMostOfOne = 192;
  static constexpr uint32_t kFirstWindow = 1024, kLongestWindow = 1 << 20, kCalm = 256;

  bool first_ = true;
  uint32_t wasted_ = 0;  // polls
  uint32_t calm_ = 0;    // operations in a row that did not take too long
  uint32_t left_ = 0, window_ = kFirstWindow;
};

}  // namespace railyard::sim
