// The lock of a device: whoever takes it, and whichever thread it leans towards, nobody else is
// inside.
#include "device/spin_lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace railyard::sim {
namespace {

// So often a thread takes it alone before it leans towards that thread.
constexpr int kLongAlone = 200'000;

class SpinLockTest : public testing::Test {
 protected:
  // Counts two words that differ only while somebody is inside.
  void take_turns(int times) {
    for (int i = 0; i < times; ++i) {
      std::lock_guard guard(lock_);
      if (left_ != right_) ++seen_inside_;
      ++left_;
      ++right_;
    }
  }

  SpinLock lock_;
  long left_ = 0, right_ = 0;
  std::atomic<int> seen_inside_ = 0;
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
  EXPECT_EQ(seen_inside_, 0);
  EXPECT_EQ(left_, right_);
  EXPECT_GE(left_, 2 * kLongAlone);
}

}  // namespace
}  // namespace railyard::sim
