// A lock for a few dozen instructions, shared by the threads of one process.
#pragma once

#include <sched.h>

#include <atomic>

#include "platform/ticks.h"

namespace railyard::sim {

class SpinLock {
 public:
  void lock() {
    // A holder that lost its core holds the lock for a whole time slice: give it ours.
    for (int spins = 1; taken_.exchange(true, std::memory_order_acquire); ++spins) {
      if (spins % 64 == 0) sched_yield();
      platform::relax();
    }
  }
  void unlock() { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_{false};
};

}  // namespace railyard::sim
