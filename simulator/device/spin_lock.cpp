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
  while (everybodys_.taken.exchange(true, std::memory_order_acquire))
    wait_until_clear(everybodys_.taken);
  take_favour_back();
  holder_ = &everybodys_;
  if (latest_ != self) {
    latest_ = self;
    in_a_row_ = 0;
  } else if (++in_a_row_ >= wanted_ && platform::has_asymmetric_fences()) {
    in_a_row_ = 0;
    wanted_ = std::min(2 * wanted_, kMostWanted);
    if (Seat* seat = seat_of(self)) favoured_.store(seat, std::memory_order_release);
  }
}

// Whoever is favoured either sees that it is not any more, or has said that it is inside.
void SpinLock::take_favour_back() {
  Seat* seat = favoured_.load(std::memory_order_relaxed);
  if (seat == &everybodys_) return;
  favoured_.store(&everybodys_, std::memory_order_relaxed);
  platform::heavy_fence();
  wait_until_clear(seat->taken);
}

// nullptr: there is none left.
SpinLock::Seat* SpinLock::seat_of(uintptr_t thread) {
  for (Seat& seat : seats_) {
    if (seat.thread == 0) seat.thread = thread;
    if (seat.thread == thread) return &seat;
  }
  return nullptr;
}

}  // namespace railyard::sim
