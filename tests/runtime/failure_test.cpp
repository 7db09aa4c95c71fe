// Ranks that die, stop or abort, cables that are pulled, and calls that do not match.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>
#include <thread>

#include "yard.h"

namespace railyard::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// A loop that lasts longer than any test here.
const std::string kForEver = "all_sum:float16:14336:100000000";

// Long before the deadline, which is 30 s: what ended earlier was not ended by it.
constexpr milliseconds kLongBefore{15'000};

// Waits until all ranks have passed their barrier and said so; they go on with tell_all().
void wait_for_all(Yard& yard) {
  for (int rank = 0; rank < yard.size(); ++rank) yard.ranks().wait_for_line(rank, "ready");
}

TEST(Failure, KilledRankIsNamedOnAllOthers) {
  for (const char* backend : {"mesh", "ring"}) {
    Yard yard("apple-thunderbolt5", 4);
    yard.backend(backend).start({"barrier", "say:ready", "wait", "die:2", kForEver});
    wait_for_all(yard);
    yard.ranks().tell_all();
    std::vector<Outcome> outcomes = yard.ranks().wait();
    EXPECT_EQ(outcomes[2].signal, SIGKILL);
    for (int rank : {0, 1, 3}) {
      const Outcome& outcome = outcomes[static_cast<size_t>(rank)];
      EXPECT_EQ(outcome.code, "peer-dead") << rank << ": " << outcome.output;
      EXPECT_EQ(outcome.fields.at("peer"), "2") << outcome.output;
      EXPECT_EQ(outcome.fields.at("operation"), "all_sum");
      EXPECT_THAT(outcome.output, HasSubstr("later group-unusable"));
      EXPECT_LT(outcome.took, kLongBefore);
    }
  }
}

TEST(Failure, KilledCoordinatorIsNamedOnAllOthers) {
  Yard yard("connectx", 3);
  yard.start({"barrier", "die:0", kForEver});
  std::vector<Outcome> outcomes = yard.ranks().wait();
  for (int rank : {1, 2}) {
    const Outcome& outcome = outcomes[static_cast<size_t>(rank)];
    EXPECT_EQ(outcome.code, "peer-dead") << outcome.output;
    EXPECT_EQ(outcome.fields.at("peer"), "0") << outcome.output;
    EXPECT_LT(outcome.took, kLongBefore);
  }
}

// News passes through rank 0, but not through it alone.
TEST(Failure, KilledRankIsNamedThoughRankZeroIsStopped) {
  for (const char* backend : {"mesh", "ring"}) {
    Yard yard("apple-thunderbolt5", 5);
    yard.backend(backend).start({"barrier", "say:ready", "wait", "die:2", kForEver});
    wait_for_all(yard);
    kill(yard.ranks().pid(0), SIGSTOP);
    yard.ranks().tell_all();
    std::vector<Outcome> outcomes = yard.ranks().wait_without(0);
    EXPECT_EQ(outcomes[2].signal, SIGKILL);
    for (int rank : {1, 3, 4}) {
      const Outcome& outcome = outcomes[static_cast<size_t>(rank)];
      EXPECT_EQ(outcome.code, "peer-dead") << rank << ": " << outcome.output;
      EXPECT_EQ(outcome.fields.at("peer"), "2") << outcome.output;
      EXPECT_LT(outcome.took, kLongBefore);
    }
  }
}

// mlx#4192.
TEST(Failure, UnpluggedCableIsNamedSoon) {
  for (const char* backend : {"mesh", "ring"}) {
    Yard yard("apple-thunderbolt5", 2);
    yard.backend(backend).start({"barrier", "say:ready", "wait", kForEver});
    wait_for_all(yard);
    yard.fabric().unplug(0);
    yard.ranks().tell_all();
    for (const Outcome& outcome : yard.ranks().wait()) {
      EXPECT_EQ(outcome.code, "peer-unreachable") << outcome.output;
      EXPECT_THAT(outcome.fields.at("device"), HasSubstr("rdma_en")) << outcome.output;
      EXPECT_THAT(outcome.output, HasSubstr("the port of rdma_en"));
      EXPECT_EQ(outcome.fields.at("rail"), "0");
      EXPECT_LT(outcome.took, kLongBefore);
    }
  }
}

TEST(Failure, CableThatIsBackIsForgiven) {
  Yard yard("apple-thunderbolt5", 2);
  yard.start({"barrier", "say:ready", "wait", "sleep:1:50", "all_sum:float16:14336:20"});
  wait_for_all(yard);
  yard.fabric().unplug(0);
  yard.fabric().plug(0);
  yard.ranks().tell_all();
  expect_ok(yard.ranks().wait());
}

// exo#2160: two cables between two nodes, swapped at one end while a loop runs.
TEST(Failure, SwappedCablesEndAtTheDeadlineOnBothRanks) {
  Yard yard("apple-thunderbolt5", 2, 2);
  yard.backend("ring").deadline_ms(800).start({"barrier", "say:ready", "wait", kForEver});
  wait_for_all(yard);
  yard.fabric().swap(0, 1, 1);
  yard.ranks().tell_all();
  for (const Outcome& outcome : yard.ranks().wait()) {
    EXPECT_EQ(outcome.code, "peer-unreachable") << outcome.output;
    EXPECT_EQ(outcome.fields.at("operation"), "all_sum");
  }
}

TEST(Failure, UnpluggedCableOfAReliableConnection) {
  Yard yard("connectx", 2);
  yard.deadline_ms(5000).start({"barrier", "say:ready", "wait", kForEver});
  wait_for_all(yard);
  yard.fabric().unplug(1);
  yard.ranks().tell_all();
  for (const Outcome& outcome : yard.ranks().wait()) {
    EXPECT_EQ(outcome.code, "peer-unreachable") << outcome.output;
  }
}

TEST(Failure, StoppedRankEndsAtTheDeadline) {
  Yard yard("apple-thunderbolt5", 3);
  yard.deadline_ms(700).start({"barrier", "stop:1", kForEver});
  std::vector<Outcome> outcomes = yard.ranks().wait_without(1);
  for (int rank : {0, 2}) {
    const Outcome& outcome = outcomes[static_cast<size_t>(rank)];
    EXPECT_EQ(outcome.code, "peer-unreachable") << outcome.output;
    EXPECT_EQ(outcome.fields.at("peer"), "1") << outcome.output;
  }
}

TEST(Failure, ShortStopIsSurvived) {
  Yard yard("apple-thunderbolt5", 2);
  yard.start({"barrier", "say:ready", "all_sum:float16:14336:300", "barrier"});
  yard.ranks().wait_for_line(1, "ready");
  kill(yard.ranks().pid(1), SIGSTOP);
  std::this_thread::sleep_for(milliseconds(300));
  kill(yard.ranks().pid(1), SIGCONT);
  for (const Outcome& outcome : yard.ranks().wait()) EXPECT_TRUE(outcome.ok()) << outcome.output;
}

// mlx#4530: every rank's error names the first failing rank and its reason.
TEST(Failure, VerbThatFailsIsToldToAll) {
  Yard yard("apple-thunderbolt5", 3);
  yard.fabric().arm({.verb = "ibv_post_send", .node = 1, .nth = 40, .error_number = EIO});
  yard.start({kForEver});
  for (const Outcome& outcome : yard.ranks().wait()) {
    EXPECT_EQ(outcome.code, "device") << outcome.output;
    EXPECT_EQ(outcome.fields.at("operation"), "all_sum");
    EXPECT_THAT(outcome.output, HasSubstr("ibv_post_send failed: Input/output error (errno 5)"));
  }
}

TEST(Failure, AbortEndsTheOperationOnAllRanks) {
  Yard yard("apple-thunderbolt5", 3);
  yard.start({"barrier", "abort:1:100", kForEver});
  for (const Outcome& outcome : yard.ranks().wait()) {
    EXPECT_EQ(outcome.code, "aborted") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("abort() was called on rank 1"));
    EXPECT_LT(outcome.took, kLongBefore);
  }
}

TEST(Failure, RankThatLeavesEarlyIsNamed) {
  Yard yard("apple-thunderbolt5", 2);
  yard.start_rank(0, {"barrier"});
  yard.start_rank(1, {"barrier", "barrier"});
  std::vector<Outcome> outcomes = yard.ranks().wait();
  EXPECT_TRUE(outcomes[0].ok()) << outcomes[0].output;
  EXPECT_EQ(outcomes[1].code, "peer-dead") << outcomes[1].output;
  EXPECT_THAT(outcomes[1].output, HasSubstr("left the group"));
  EXPECT_LT(outcomes[1].took, kLongBefore);
}

TEST(Failure, MismatchedCallsNameBothSides) {
  for (const char* backend : {"mesh", "ring"}) {
    for (const char* kind : {"bytes:400000:800000", "dtype", "operation"}) {
      Yard yard("apple-thunderbolt5", 2);
      yard.backend(backend).deadline_ms(5000).start({std::string("mismatch:1:") + kind});
      for (const Outcome& outcome : yard.ranks().wait()) {
        EXPECT_EQ(outcome.code, "mismatched-collectives")
            << backend << " " << kind << ": " << outcome.output;
        EXPECT_THAT(outcome.output, HasSubstr("all_sum of"));
      }
    }
  }
}

}  // namespace
}  // namespace railyard::test
