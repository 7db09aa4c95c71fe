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
    Seat* seat = favoured_.load(std::memory_order_acquire);
    if (seat->thread == self) [[likely]] {
      seat->taken.store(true, std::memory_order_relaxed);
      platform::light_fence();
      if (favoured_.load(std::memory_order_acquire) == seat) [[likely]] {
        holder_ = seat;
        return;
      }
      seat->taken.store(false, std::memory_order_release);
    }
    lock_slowly(self);
  }
  void unlock() { holder_->taken.store(false, std::memory_order_release); }

 private:
  // Where a thread says that it holds the lock, or looks whether it may.
  struct Seat {
    uintptr_t thread = 0;  // whose it is for ever; 0: nobody's yet, or everybody's
    std::atomic<bool> taken{false};
  };
  // A thread that lost its core while it looked says so when it has it again, whoever is favoured
  // by then: so no two threads have one seat, and those that come when all are given away take
  // turns.
  static constexpr size_t kSeats = 4;

  void lock_slowly(uintptr_t self);
  void take_favour_back();
  Seat* seat_of(uintptr_t thread);

  // Whose the lock is for the taking, if it leans towards a thread; else everybody's.
  std::atomic<Seat*> favoured_{&everybodys_};
  // Guarded by the lock itself.
  Seat* holder_ = nullptr;
  uint32_t in_a_row_ = 0;   // times that `latest_` has taken it
  uint32_t wanted_ = 1024;  // so many before it leans towards a thread
  uintptr_t latest_ = 0;

  Seat everybodys_, seats_[kSeats];
};

}  // namespace railyard::sim
