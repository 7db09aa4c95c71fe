// Threads that call one group take turns, in the order in which they came.
#include "group/turns.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace railyard {
namespace {

TEST(Turns, NobodyIsInsideWithAnother) {
  Turns turns;
  long left = 0, right = 0;
  std::atomic<int> seen_inside = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 2000; ++k) {
        std::lock_guard turn(turns);
        if (left != right) ++seen_inside;
        ++left;
        ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen_inside, 0);
  EXPECT_EQ(left, 8000);
}

// A mutex lets the thread that has just given it back have it again.
TEST(Turns, WhoCameFirstGoesFirst) {
  Turns turns;
  std::vector<int> order;
  std::vector<std::thread> threads;
  turns.lock();
  for (uint32_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      std::lock_guard turn(turns);
      order.push_back(static_cast<int>(i));
    });
    while (turns.callers() != i + 2) std::this_thread::yield();
  }
  turns.unlock();
  turns.lock();  // behind all of them
  order.push_back(4);
  turns.unlock();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

}  // namespace
}  // namespace railyard
