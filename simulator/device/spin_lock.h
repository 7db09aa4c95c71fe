// A lock for a few dozen instructions, shared by the threads of one process. Nearly always it is
// one thread that takes it, again and again, while another (the helper) might: so after a while it
// leans towards that thread, which then takes it without an atomic read-modify-write. That would
// wait for every store before it, those included for which a line has to come from the peer's core
// first. Another thread that wants the lock takes the favour back, which costs it some
// microseconds.
#pragma once

#include <atomic>
#include <cstdint>

#include "platform/asymmetric_fence.h"
#include "platform/thread.h"

namespace railyard::sim {

class SpinLock {
 public:
  void lock() {
    uintptr_t self = platform::this_thread();
    if (favoured_.load(std::memory_order_relaxed) == self) [[likely]] {
      inside_.store(true, std::memory_order_relaxed);
      platform::light_fence();
      if (favoured_.load(std::memory_order_acquire) == self) [[likely]] {
        by_favour_ = true;
        return;
      }
      inside_.store(false, std::memory_order_release);
    }
    lock_slowly(self);
  }
  void unlock() {
    if (by_favour_) [[likely]] {
      by_favour_ = false;
      inside_.store(false, std::memory_order_release);
    } else {
      taken_.store(false, std::memory_order_release);
    }
  }

 private:
  void lock_slowly(uintptr_t self);
  void take_favour_back();

  std::atomic<uintptr_t> favoured_{0};  // the thread that it leans towards; 0: none
  std::atomic<bool> inside_{false};     // it holds the lock, or looks whether it may
  std::atomic<bool> taken_{false};      // another thread does
  // Guarded by the lock itself.
  bool by_favour_ = false;
  uint32_t in_a_row_ = 0;   // times that `latest_` has taken it
  uint32_t wanted_ = 1024;  // so many before it leans towards a thread
  uintptr_t latest_ = 0;
};

}  // namespace railyard::sim
