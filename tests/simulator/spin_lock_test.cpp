// The lock of a device: whoever takes it, and whichever thread it leans towards, nobody else is
// inside.
#include "device/spin_lock.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

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

#if defined(__linux__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)

// A thread that is stopped after so many instructions, for as long as one likes.
class Stopper {
 public:
  static void prepare() {
    struct sigaction action = {};
    action.sa_sigaction = [](int, siginfo_t*, void* context) {
      step(static_cast<ucontext_t*>(context));
    };
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(sigaction(SIGTRAP, &action, nullptr), 0);
  }
  static void arm(int steps) {
    left_ = steps;
    stopped_ = released_ = false;
  }
  // From the next instruction on, of this thread.
  static void begin() {
    asm volatile(
        "lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
            : "memory", "cc");
  }
  static void end() {
    asm volatile(
        "lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
            : "memory", "cc");
  }
  static bool stopped() { return stopped_; }
  static void release() { released_ = true; }

 private:
  static void step(ucontext_t* context) {
    if (--left_ > 0) return;
    context->uc_mcontext.gregs[REG_EFL] &= ~0x100ll;
    stopped_ = true;
    while (!released_) sched_yield();
  }

  static inline int left_ = 0;
  static inline std::atomic<bool> stopped_ = false, released_ = false;
};

// A thread may lose its core after any instruction, for so long that the lock leans elsewhere
// meanwhile.
TEST_F(SpinLockTest, AThreadMayBeStoppedAnywhere) {
  constexpr int kSteps = 120;  // of lock() and unlock(), and some more
  constexpr int kTries = 50;   // milliseconds in which somebody gets a lock that is free
  Stopper::prepare();
  int got_it = 0;
  for (int steps = 1; steps <= kSteps; ++steps) {
    SpinLock lock;
    auto alone = [&](int times) {
      for (int i = 0; i < times; ++i) {
        lock.lock();
        lock.unlock();
      }
    };
    Stopper::arm(steps);
    std::atomic<bool> other_inside = false, other_may_leave = false, met = false, done = false;
    std::thread one([&] {
      alone(4000);
      Stopper::begin();
      lock.lock();
      met = other_inside && !other_may_leave;
      lock.unlock();
      Stopper::end();
      done = true;
    });
    while (!Stopper::stopped() && !done) std::this_thread::yield();
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
    Stopper::release();
    usleep(1000);
    other_may_leave = true;
    one.join();
    other.join();
    EXPECT_FALSE(met) << "stopped after " << steps << " instructions";
  }
  EXPECT_GT(got_it, 0);
  EXPECT_LT(got_it, kSteps);
  signal(SIGTRAP, SIG_DFL);
}

#endif

}  // namespace
}  // namespace railyard::sim
