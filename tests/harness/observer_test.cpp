// When a run is stuck, and when it only looks so.
#include "observer/observer.h"

#include <gtest/gtest.h>

namespace railyard::harness {
namespace {

using fabric::Activity;

constexpr int64_t kMs = 1'000'000;

// Two ranks, looked at every 2 ms; `each` changes the look before it is shown.
class Watch {
 public:
  Watch() {
    for (int rank = 0; rank < 2; ++rank) {
      fabric::ProcessView process;
      process.index = process.node = rank;
      process.pid = 100 + rank;
      process.alive = true;
      process.activity = Activity::polling;
      look.snapshot.processes.push_back(process);
      RankLook entry;
      entry.rank = rank;
      entry.pid = process.pid;
      entry.state.kind = ProcessState::Kind::running;
      look.ranks.push_back(entry);
    }
  }

  fabric::ProcessView& process(int rank) {
    return look.snapshot.processes[static_cast<size_t>(rank)];
  }
  RankLook& rank(int rank) { return look.ranks[static_cast<size_t>(rank)]; }

  // Milliseconds until the verdict, or -1 when there is none within `limit_ms`.
  template <typename Each>
  int64_t stuck_after(int64_t limit_ms, Each each) {
    for (int64_t ms = 0; ms <= limit_ms; ms += 2) {
      look.now_ns = look.snapshot.now_ns = ms * kMs;
      each(ms);
      if (observer.look(look).stuck) return ms;
    }
    return -1;
  }

  void poll(int rank) { process(rank).empty_polls += 1000; }
  void sleep_in_socket(int who) {
    process(who).activity = Activity::elsewhere;
    rank(who).state.kind = ProcessState::Kind::sleeping;
    rank(who).state.waits = true;
  }

  Observer observer;
  Look look;
};

TEST(Observer, TwoPollers) {
  Watch watch;
  int64_t at = watch.stuck_after(1000, [&](int64_t) {
    watch.poll(0);
    watch.poll(1);
  });
  EXPECT_GE(at, 30);
  EXPECT_LE(at, 50);
}

// On a busy machine a poller may get no processor between two looks: it is no other than before.
TEST(Observer, APollerThatPausesForAProcessor) {
  Watch watch;
  int64_t at = watch.stuck_after(1000, [&](int64_t ms) {
    watch.poll(0);
    bool runs = ms % 6 == 0;
    watch.process(1).activity = runs ? Activity::polling : Activity::elsewhere;
    if (runs) {
      watch.poll(1);
      watch.rank(1).state.cpu_ns += 2 * kMs;
    }
  });
  EXPECT_GE(at, 30);
  EXPECT_LE(at, 60);
}

TEST(Observer, APollerThatGoesOnToComputeIsNotStuck) {
  Watch watch;
  EXPECT_EQ(watch.stuck_after(3000,
                              [&](int64_t ms) {
                                watch.poll(0);
                                bool polls = ms < 20;
                                watch.process(1).activity =
                                    polls ? Activity::polling : Activity::elsewhere;
                                if (polls) watch.poll(1);
                                watch.rank(1).state.cpu_ns += 2 * kMs;
                              }),
            -1);
}

TEST(Observer, ProgressIsNotStuck) {
  Watch watch;
  EXPECT_EQ(watch.stuck_after(1000,
                              [&](int64_t ms) {
                                watch.poll(0);
                                watch.poll(1);
                                if (ms % 20 == 0) ++watch.look.snapshot.activity;
                              }),
            -1);
}

TEST(Observer, AMessageInFlightIsNotStuck) {
  Watch watch;
  watch.look.snapshot.in_flight = 1;
  EXPECT_EQ(watch.stuck_after(1000,
                              [&](int64_t) {
                                watch.poll(0);
                                watch.poll(1);
                              }),
            -1);
}

TEST(Observer, AFaultToComeIsNotStuck) {
  Watch watch;
  watch.look.timers = true;
  EXPECT_EQ(watch.stuck_after(1000,
                              [&](int64_t) {
                                watch.poll(0);
                                watch.poll(1);
                              }),
            -1);
}

TEST(Observer, APollerThatGotNoProcessorIsNotStuck) {
  Watch watch;
  EXPECT_EQ(watch.stuck_after(1000, [&](int64_t) { watch.poll(0); }), -1);
}

TEST(Observer, ComputingIsNotStuck) {
  Watch watch;
  watch.process(1).activity = Activity::elsewhere;
  EXPECT_EQ(watch.stuck_after(3000,
                              [&](int64_t) {
                                watch.poll(0);
                                watch.rank(1).state.cpu_ns += 2 * kMs;
                              }),
            -1);
}

TEST(Observer, SleepingForATimeIsNotStuck) {
  Watch watch;
  watch.sleep_in_socket(1);
  watch.rank(1).state.waits = false;
  EXPECT_EQ(watch.stuck_after(3000, [&](int64_t) { watch.poll(0); }), -1);
}

TEST(Observer, APageThatSaysComputingIsBelieved) {
  Watch watch;
  watch.rank(1).computing = true;
  EXPECT_EQ(watch.stuck_after(1000,
                              [&](int64_t) {
                                watch.poll(0);
                                watch.poll(1);
                              }),
            -1);
}

TEST(Observer, APollerAndOneInASocket) {
  Watch watch;
  watch.sleep_in_socket(1);
  int64_t at = watch.stuck_after(1000, [&](int64_t) { watch.poll(0); });
  EXPECT_GE(at, 150);
  EXPECT_LT(at, 200);
}

// Small beats, and a busy machine on which the rank is found runnable for a while.
TEST(Observer, BeatsOfASideChannelAreNoWork) {
  Watch watch;
  watch.sleep_in_socket(1);
  int64_t at = watch.stuck_after(1000, [&](int64_t ms) {
    watch.poll(0);
    bool beats = ms % 50 < 10;
    watch.rank(1).state.kind = beats ? ProcessState::Kind::running : ProcessState::Kind::sleeping;
    watch.rank(1).state.waits = !beats;
    if (ms % 50 == 0) watch.rank(1).state.cpu_ns += 40'000;
  });
  EXPECT_GE(at, 150);
  EXPECT_LT(at, 200);
}

TEST(Observer, RetriesInStartUpAreNotStuck) {
  Watch watch;
  watch.process(0).activity = Activity::blocked;
  watch.sleep_in_socket(1);
  watch.rank(1).starting = true;
  EXPECT_EQ(watch.stuck_after(3000,
                              [&](int64_t ms) {
                                if (ms % 100 == 0) ++watch.rank(1).state.wakeups;
                              }),
            -1);
}

// One rank was killed in start-up; the other tries to reach it every 20 ms.
class RetriesAfterADeath : public testing::Test, public Watch {
 protected:
  RetriesAfterADeath() {
    look.snapshot.processes.clear();
    rank(1).alive = false;
    rank(0).starting = rank(1).starting = look.orphaned = true;
  }
  int64_t stuck_when_a_try_takes(int64_t cpu_ns) {
    return stuck_after(3000, [this, cpu_ns](int64_t ms) {
      bool tries = ms % 20 == 0;
      rank(0).state.kind = tries ? ProcessState::Kind::running : ProcessState::Kind::sleeping;
      rank(0).state.wakeups += tries;
      rank(0).state.cpu_ns += tries ? static_cast<uint64_t>(cpu_ns) : 0;
    });
  }
};

TEST_F(RetriesAfterADeath, AreStuck) {
  int64_t at = stuck_when_a_try_takes(kMs / 10);
  EXPECT_GE(at, 1000);
  EXPECT_LT(at, 1100);
}

TEST_F(RetriesAfterADeath, AreNotStuckWhileNobodyHasDied) {
  look.orphaned = false;
  EXPECT_EQ(stuck_when_a_try_takes(kMs / 10), -1);
}

TEST_F(RetriesAfterADeath, AreNotStuckWhileTheyWork) {
  EXPECT_EQ(stuck_when_a_try_takes(10 * kMs), -1);
}

TEST(Observer, BlockedVerbs) {
  Watch watch;
  watch.process(0).activity = watch.process(1).activity = Activity::blocked;
  EXPECT_LE(watch.stuck_after(1000, [](int64_t) {}), 50);
}

TEST(Observer, StoppedRank) {
  Watch watch;
  watch.process(1).activity = Activity::elsewhere;
  watch.rank(1).state.kind = ProcessState::Kind::stopped;
  EXPECT_LE(watch.stuck_after(1000, [&](int64_t) { watch.poll(0); }), 50);
}

// Nobody is in the fabric: what may end the waits decides.
class NobodyInTheFabric : public testing::Test, public Watch {
 protected:
  NobodyInTheFabric() {
    sleep_in_socket(0);
    sleep_in_socket(1);
    rank(0).state.wait_limit_ns = rank(1).state.wait_limit_ns = ProcessState::kForEver;
    look.among_themselves = [] { return true; };
  }
  int64_t stuck_at() {
    return stuck_after(3000, [](int64_t) {});
  }
};

TEST_F(NobodyInTheFabric, AndNobodyElseToWaitFor) {
  int64_t at = stuck_at();
  EXPECT_GE(at, 150);
  EXPECT_LT(at, 200);
}

TEST_F(NobodyInTheFabric, ATimeOutEndsAWait) {
  rank(1).state.wait_limit_ns = 500 * kMs;
  EXPECT_GE(stuck_at(), 1000);
}

TEST_F(NobodyInTheFabric, ADeadlineFarOffIsNoRetry) {
  rank(1).state.wait_limit_ns = 5000 * kMs;
  EXPECT_LT(stuck_at(), 200);
}

TEST_F(NobodyInTheFabric, NobodyKnowsForHowLong) {
  rank(1).state.wait_limit_ns = 0;
  EXPECT_GE(stuck_at(), 1000);
}

TEST_F(NobodyInTheFabric, AConnectionLeadsElsewhere) {
  look.among_themselves = [] { return false; };
  EXPECT_GE(stuck_at(), 1000);
}

// A program that a shell started: the fabric knows the child.
TEST(Observer, AChildPolls) {
  Watch watch;
  watch.process(1).pid = 777;
  watch.rank(1).state.kind = ProcessState::Kind::sleeping;
  int64_t at = watch.stuck_after(1000, [&](int64_t) {
    watch.poll(0);
    watch.poll(1);
  });
  EXPECT_GE(at, 30);
  EXPECT_LE(at, 50);
}

TEST(Observer, OneRankLeft) {
  Watch watch;
  watch.rank(1).alive = false;
  EXPECT_LE(watch.stuck_after(1000, [&](int64_t) { watch.poll(0); }), 50);
}

TEST(Observer, NobodyLeft) {
  Watch watch;
  watch.rank(0).alive = watch.rank(1).alive = false;
  EXPECT_EQ(watch.stuck_after(1000, [](int64_t) {}), -1);
}

TEST(Observer, SaysSinceWhen) {
  Watch watch;
  watch.process(1).progress_at_ns = 5 * kMs;
  Observer::Decision decision;
  for (int64_t ms = 6; !decision.stuck && ms < 100; ms += 2) {
    watch.poll(0);
    watch.poll(1);
    watch.look.now_ns = ms * kMs;
    decision = watch.observer.look(watch.look);
  }
  EXPECT_TRUE(decision.stuck);
  EXPECT_EQ(decision.since_ns, 5 * kMs);
}

}  // namespace
}  // namespace railyard::harness
