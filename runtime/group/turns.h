// Who may call a group: the threads of a rank take turns, in the order in which they came.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace railyard {

// A lock that one thread nearly always finds free, and may then hold for a long time. It is fair,
// and costs whoever finds it free one atomic operation where a mutex takes two; whoever does not
// looks now and then.
class Turns {
 public:
  void lock() {
    uint32_t mine = next_.fetch_add(1, std::memory_order_relaxed);
    for (uint32_t looks = 0; now_.load(std::memory_order_acquire) != mine; ++looks) wait(looks);
  }
  void unlock() { now_.store(now_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  // Whoever has it, and those who wait.
  uint32_t callers() const { return next_.load() - now_.load(); }

 private:
  // An operation takes a fraction of a microsecond, or a second.
  static constexpr uint32_t kYields = 64;
  static constexpr std::chrono::microseconds kNap{20};

  static void wait(uint32_t looks) {
    if (looks < kYields) return std::this_thread::yield();
    std::this_thread::sleep_for(kNap);
  }

  std::atomic<uint32_t> next_{0}, now_{0};
};

}  // namespace railyard
