#include "device/spin_lock.h"

#include <sched.h>

#include <algorithm>

#include "platform/ticks.h"

namespace railyard::sim {

namespace {

// Where threads do take turns, a favour is soon taken back, and is not to be granted so soon again.
constexpr uint32_t kMostWanted = 1 << 16;

void wait_until_clear(const std::atomic<bool>& word) {
  // Whoever is inside and lost its core is there for a whole time slice: give it ours.
  for (int spins = 1; word.load(std::memory_order_acquire); ++spins) {
    if (spins % 64 == 0) sched_yield();
    platform::relax();
  }
}

}  // namespace

void SpinLock::lock_slowly(uintptr_t self) {
  while (taken_.exchange(true, std::memory_order_acquire)) wait_until_clear(taken_);
  if (favoured_.load(std::memory_order_relaxed) != 0) take_favour_back();
  if (latest_ != self) {
    latest_ = self;
    in_a_row_ = 0;
  } else if (++in_a_row_ >= wanted_ && platform::has_asymmetric_fences()) {
    in_a_row_ = 0;
    wanted_ = std::min(2 * wanted_, kMostWanted);
    favoured_.store(self, std::memory_order_relaxed);
  }
}

// Whoever is favoured either sees that it is not any more, or has said that it is inside.
void SpinLock::take_favour_back() {
  favoured_.store(0, std::memory_order_relaxed);
  platform::heavy_fence();
  wait_until_clear(inside_);
}

}  // namespace railyard::sim
