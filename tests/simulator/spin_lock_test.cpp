// The lock of a device: whoever takes it, and whichever thread it leans towards, nobody else is
// inside.
#include "device/spin_lock.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "single_steps.h"

namespace railyard::sim {
namespace {

// So often a thread takes it alone before it leans towards that thread.
constexpr int kLongAlone = 200'000;

class SpinLockTest : public testing::Test {
 protected:
  // Counts those inside, and a word that only they write.
  void take_turns(int times) {
    for (int i = 0; i < times; ++i) {
      std::lock_guard guard(lock_);
      if (inside_.fetch_add(1) != 0) ++met_;
      ++turns_;
      inside_.fetch_sub(1);
    }
  }

  SpinLock lock_;
  long turns_ = 0;
  std::atomic<int> inside_ = 0, met_ = 0;
};

TEST_F(SpinLockTest, OthersWaitForAThreadThatItLeansTowards) {
  take_turns(kLongAlone);
  lock_.lock();
  std::atomic<bool> got_it = false;
  std::thread other([&] {
    std::lock_guard guard(lock_);
    got_it = true;
  });
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(got_it);
    std::this_thread::yield();
  }
  lock_.unlock();
  other.join();
  EXPECT_TRUE(got_it);
  take_turns(1);  // and it is free again
}

TEST_F(SpinLockTest, NobodyIsInsideWithAnother) {
  std::atomic<bool> done = false;
  // Each of these comes when the lock has leant towards the first thread, or does just then.
  std::thread now_and_then([&] {
    while (!done) {
      take_turns(3);
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> others;
  for (int i = 0; i < 20; ++i) {
    take_turns(kLongAlone / 20);
    others.emplace_back([&] { take_turns(kLongAlone / 20); });
  }
  for (std::thread& other : others) other.join();
  done = true;
  now_and_then.join();
  EXPECT_EQ(met_, 0);
  EXPECT_GE(turns_, 2 * kLongAlone);
}

#ifdef RAILYARD_SINGLE_STEPS

using test::SingleSteps;

std::atomic<bool> g_stopped = false, g_released = false;

void stop() {
  g_stopped = true;
  while (!g_released) sched_yield();
}

// A thread may lose its core after any instruction, for so long that the lock leans elsewhere
// meanwhile.
TEST_F(SpinLockTest, AThreadMayBeStoppedAnywhere) {
  constexpr int kSteps = 120;  // of lock() and unlock(), and some more
  constexpr int kTries = 50;   // milliseconds in which somebody gets a lock that is free
  int got_it = 0;
  for (int steps = 1; steps <= kSteps; ++steps) {
    SpinLock lock;
    auto alone = [&](int times) {
      for (int i = 0; i < times; ++i) {
        lock.lock();
        lock.unlock();
      }
    };
    g_stopped = g_released = false;
    SingleSteps::arm(steps, stop);
    std::atomic<bool> other_inside = false, other_may_leave = false, met = false, done = false;
    std::thread one([&] {
      alone(4000);
      SingleSteps::begin();
      lock.lock();
      met = other_inside && !other_may_leave;
      lock.unlock();
      SingleSteps::end();
      done = true;
    });
    while (!g_stopped && !done) std::this_thread::yield();
    std::thread other([&] {
      alone(20'000);
      lock.lock();
      other_inside = true;
      while (!other_may_leave) std::this_thread::yield();
      other_inside = false;
      lock.unlock();
    });
    for (int tries = 0; !other_inside && tries < kTries; ++tries) usleep(1000);
    got_it += other_inside;
    g_released = true;
    usleep(1000);
    other_may_leave = true;
    one.join();
    other.join();
    EXPECT_FALSE(met) << "stopped after " << steps << " instructions";
  }
  EXPECT_GT(got_it, 0);
  EXPECT_LT(got_it, kSteps);
}

#endif

}  // namespace
}  // namespace railyard::sim
