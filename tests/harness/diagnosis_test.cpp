// Each verdict from the snapshot that shows it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

#include "yard.h"

namespace railyard::harness {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;

TEST(Diagnosis, AllEndedWell) {
  Yard yard;
  yard.evidence.stuck = false;
  for (int rank : {0, 1}) {
    yard.rank(rank).alive = false;
    yard.rank(rank).finished = true;
  }
  EXPECT_EQ(yard.diagnose().verdict, "ok");
}

TEST(Diagnosis, CrossedRails) {
  Yard yard;
  yard.connect(0);
  yard.connect(1);
  yard.swap_at_node1();
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "crossed-rails");
  EXPECT_THAT(found.names,
              IsSupersetOf({"c1", "c2", "node0/en3", "node0/en4", "node1/en3", "node1/en4"}));
  EXPECT_THAT(found.headline, HasSubstr("c1 and c2"));
  EXPECT_THAT(found.details, Contains(HasSubstr("c1 joins node0/en3 and node1/en4, it was laid")));
  EXPECT_THAT(
      found.details,
      Contains("queue pair 16 of rank 0 on node0/en3 (rail 0 to rank 1) wants node1/en3, but "
               "c1 leads to node1/en4"));
}

// The ranks have ended before anybody looked; the plugs still tell.
TEST(Diagnosis, CrossedRailsAfterTheEnd) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.swap_at_node1();
  yard.fail(0, "peer-unreachable");
  yard.fail(1, "peer-unreachable");
  EXPECT_EQ(yard.diagnose().verdict, "crossed-rails");
  EXPECT_THAT(yard.diagnose().names, IsSupersetOf({"c1", "c2", "node1/en4"}));
}

TEST(Diagnosis, CableUnplugged) {
  Yard yard;
  yard.connect(0);
  yard.connect(1);
  yard.unplug(1);
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "cable-unplugged");
  EXPECT_EQ(found.headline, "cable c2 between node0/en4 and node1/en4 is unplugged");
  EXPECT_THAT(found.names, IsSupersetOf({"c2", "node0/en4", "node1/en4"}));
}

TEST(Diagnosis, ReceiveNeverFilled) {
  Yard yard;
  yard.connect(0);
  yard.connect(1);
  yard.pair(1, 1).receives_posted = 2;
  yard.pair(1, 1).receives_filled = 1;
  yard.pair(0, 1).sends_posted = yard.pair(0, 1).sends_settled = 1;
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "receive-never-filled");
  EXPECT_EQ(
      found.headline,
      "rank 1 waits for 1 receive on rail 1 (node1/en4, queue pair 19; 2 posted, 1 filled) that "
      "no send will fill: rank 0 has none outstanding (it sent 1)");
}

// Each waits to receive from the other, and nobody has anything to send.
TEST(Diagnosis, MismatchedCollectives) {
  Yard yard;
  yard.connect(0);
  for (int rank : {0, 1}) yard.pair(rank, 0).receives_posted = 1;
  yard.rank(0).place = "all_sum, iteration 3";
  yard.rank(1).place = "broadcast, iteration 0";
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "mismatched-collectives");
  EXPECT_EQ(found.headline,
            "rank 0 is in all_sum, iteration 3 and rank 1 in broadcast, iteration 0; each waits "
            "for messages of the other (1 and 1 receives not filled), and neither has one to send");
  // Once one of them is ahead in the same operation, that says nothing.
  yard.rank(1).place = "all_sum, iteration 4";
  EXPECT_EQ(yard.diagnose().verdict, "receive-never-filled");
}

// Every rank's error tells of the one that failed first, who may be the last to end.
TEST(Diagnosis, TheRankThatOthersQuote) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.fail(0, "configuration");
  yard.fail(1, "configuration");
  yard.rank(0).error->message = "rank 1 failed first: " + yard.rank(1).error->message;
  yard.rank(0).ended_at_ns = 1;
  yard.rank(1).ended_at_ns = 2;
  EXPECT_EQ(yard.diagnose().headline, "rank 1 failed: it failed");
}

TEST(Diagnosis, AGroupThatIsTooSmall) {
  Yard yard;
  yard.evidence.stuck = false;
  for (int rank : {0, 1}) {
    yard.rank(rank).alive = false;
    yard.rank(rank).finished = true;
    yard.rank(rank).group_size = 2;
  }
  EXPECT_EQ(yard.diagnose().verdict, "ok");
  yard.rank(1).group_size = 1;
  EXPECT_EQ(yard.diagnose().headline, "rank 1 made a group of 1 where 2 ranks were started");
}

TEST(Diagnosis, AnotherBackendThanWasAskedFor) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.evidence.backend = "mesh";
  for (int rank : {0, 1}) {
    yard.rank(rank).alive = false;
    yard.rank(rank).finished = true;
    yard.rank(rank).backend = "mesh";
  }
  EXPECT_EQ(yard.diagnose().verdict, "ok");
  yard.rank(0).backend = "ring";
  EXPECT_EQ(yard.diagnose().verdict, "backend-replaced");
  yard.evidence.backend = "any";
  EXPECT_EQ(yard.diagnose().verdict, "ok");
  // TCP will do only where there is no RDMA.
  yard.rank(0).backend = "tcp-ring";
  yard.evidence.matrix = {{{}, {}}, {{}, {}}};
  EXPECT_EQ(yard.diagnose().verdict, "ok");
  yard.evidence.matrix = {{{}, {"en3"}}, {{"en3"}, {}}};
  EXPECT_EQ(yard.diagnose().verdict, "backend-replaced");
}

TEST(Diagnosis, AMessageThatIsHeldForGood) {
  Yard yard;
  yard.connect(0);
  yard.pair(1, 0).receives_posted = 1;
  yard.pair(0, 0).sends_posted = 1;
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "message-lost");
  EXPECT_THAT(found.headline, HasSubstr("is held for good on cable c1"));
}

TEST(Diagnosis, MessageLost) {
  Yard yard;
  yard.connect(0);
  yard.pair(0, 0).sends_posted = yard.pair(0, 0).sends_settled = 3;
  yard.pair(0, 0).sends_lost = 1;
  yard.pair(1, 0).receives_posted = 1;
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "message-lost");
  EXPECT_THAT(found.headline, HasSubstr("1 of 3 messages"));
  EXPECT_THAT(found.names, IsSupersetOf({"c1", "rank 0", "rank 1"}));
}

TEST(Diagnosis, CallThatDoesNotReturn) {
  Yard yard;
  yard.process(1).activity = fabric::Activity::blocked;
  yard.process(1).verb = "ibv_create_qp";
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "call-blocked");
  EXPECT_THAT(found.names, IsSupersetOf({"rank 1", "ibv_create_qp"}));
  yard.process(1).verb = "ibv_get_cq_event";  // waits by its nature
  EXPECT_EQ(yard.diagnose().verdict, "stuck");
}

TEST(Diagnosis, EveryRankWaitsOutsideOfVerbs) {
  Yard yard;
  yard.rank(0).outside = yard.rank(1).outside = true;
  yard.rank(0).waiting = yard.rank(1).waiting = "waits outside of verbs, in recvfrom";
  EXPECT_EQ(yard.diagnose().verdict, "side-channel-lost");
  yard.rank(1).outside = false;
  EXPECT_EQ(yard.diagnose().verdict, "stuck");
}

TEST(Diagnosis, BrokenDevice) {
  Yard yard;
  yard.snapshot().devices[1].failed = true;
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "device-broken");
  EXPECT_THAT(found.names, IsSupersetOf({"node0/en4", "rank 0"}));
}

TEST(Diagnosis, AddressUnknown) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.fail(1, "device");
  yard.rank(1).error->device = "en3";
  yard.rank(1).error->error_number = EINVAL;
  yard.snapshot().ports[2].gid_rows = 0b101;
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "address-unknown");
  EXPECT_THAT(found.headline, HasSubstr("on node1/en3, whose GID table has the rows 0, 2:"));
  yard.snapshot().ports[2].gid_rows = 0b11;
  EXPECT_EQ(yard.diagnose().verdict, "error");
}

TEST(Diagnosis, ARefusalExplainsARanksError) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.fail(1, "device");
  yard.snapshot().devices[2].refusals[static_cast<size_t>(fabric::Resource::queue_pairs)] = 1;
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "limit-reached");
  EXPECT_THAT(found.headline, HasSubstr("node1/en3 refused rank 1 a queue pair"));
}

TEST(Diagnosis, ACrashIsNamedWithItsLastVerb) {
  Yard yard;
  yard.end(1, SIGSEGV);
  yard.rank(1).pid = yard.process(1).pid;
  yard.process(1).verb = "ibv_post_recv";
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "rank-crashed");
  EXPECT_THAT(found.names, IsSupersetOf({"rank 1", "ibv_post_recv"}));
  yard.connect(0);
  yard.unplug(0);
  EXPECT_EQ(yard.diagnose().verdict, "cable-unplugged");
}

TEST(Diagnosis, AnErrorThatNobodyRead) {
  Yard yard;
  yard.evidence.stuck = false;
  for (int rank : {0, 1}) {
    yard.rank(rank).alive = false;
    yard.rank(rank).finished = true;
  }
  EXPECT_EQ(yard.diagnose().verdict, "ok");
  yard.snapshot().ports[2].completions_in_error = 1;
  yard.snapshot().ports[2].last_error = "IBV_WC_REM_OP_ERR";
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "completion-error");
  EXPECT_THAT(found.names, IsSupersetOf({"rank 1", "status-unread"}));
}

TEST(Diagnosis, WrongDataWhoseInputChangedInFlight) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.snapshot().ports[0].changed_in_flight = 2;
  Diagnosis found = explain_data({"data-mismatch", "rank 1: wrong", {}, {"rank 1"}}, yard.evidence);
  EXPECT_EQ(found.verdict, "data-mismatch");
  EXPECT_THAT(found.names, IsSupersetOf({"rank 1", "stale-input", "node0/en3"}));
}

TEST(Diagnosis, AMatrixThatPairsTheEndsOfDifferentCables) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.fail(0, "peer-unreachable");
  yard.evidence.matrix = {{{}, {"en3", "en4"}}, {{"en3", "en4"}, {}}};
  EXPECT_EQ(yard.diagnose().verdict, "error");
  yard.evidence.matrix = {{{}, {"en3", "en4"}}, {{"en4", "en3"}, {}}};
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "crossed-rails");
  EXPECT_THAT(found.names, IsSupersetOf({"c1", "c2", "node0/en3", "node1/en4"}));
}

TEST(Diagnosis, APlugInAPortBesideTheRightOne) {
  Yard yard;
  yard.connect(0);
  // Port 3 (node1/en4) takes the plug that was in port 2; its own cable is gone.
  yard.snapshot().cables.pop_back();
  yard.snapshot().cables[0].ports[1] = 3;
  yard.snapshot().ports[3].cable = 0;
  yard.snapshot().ports[1].cable = yard.snapshot().ports[2].cable = -1;
  for (auto& pair : yard.snapshot().queue_pairs) pair.reachable = false;
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "crossed-rails");
  EXPECT_THAT(found.names, IsSupersetOf({"c1", "node1/en4", "node1/en3"}));
}

TEST(Diagnosis, MessageDropped) {
  Yard yard;
  yard.connect(0);
  auto& pair = yard.pair(1, 0);
  pair.receives_posted = 4;
  pair.dropped_no_receive = 4;
  pair.dropped_at_ns = 1'000'000;
  pair.receive_posted_after_drop_ns = 1'250'000;
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "message-dropped-no-receive");
  EXPECT_THAT(found.headline,
              HasSubstr("a receive was posted 250 us after the last of them arrived"));
  EXPECT_THAT(found.names, IsSupersetOf({"rank 0", "rank 1", "node1/en3"}));
}

TEST(Diagnosis, ReceiverNotReady) {
  Yard yard;
  yard.connect(0);
  yard.pair(0, 0).completions_in_error = 1;
  yard.pair(0, 0).last_error = "IBV_WC_RNR_RETRY_EXC_ERR";
  EXPECT_EQ(yard.diagnose().verdict, "receiver-not-ready");
}

TEST(Diagnosis, ReceiverNotReadyFromTheRanksError) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.fail(0, "completion-error", "IBV_WC_RNR_RETRY_EXC_ERR");
  yard.fail(1, "side-channel-lost");
  EXPECT_EQ(yard.diagnose().verdict, "receiver-not-ready");
}

TEST(Diagnosis, FrameCountMismatch) {
  Yard yard;
  yard.connect(0);
  yard.pair(1, 0).frame_mismatches = 1;
  EXPECT_EQ(yard.diagnose().verdict, "frame-count-mismatch");
}

TEST(Diagnosis, CompletionError) {
  Yard yard;
  yard.connect(0);
  yard.pair(1, 0).completions_in_error = 1;
  yard.pair(1, 0).last_error = "IBV_WC_LOC_LEN_ERR";
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "completion-error");
  EXPECT_THAT(found.headline, HasSubstr("IBV_WC_LOC_LEN_ERR"));
}

TEST(Diagnosis, ContextLimit) {
  Yard yard;
  auto& process = yard.process(0);
  process.activity = fabric::Activity::blocked;
  process.verb = "ibv_open_device";
  process.blocked_device = 0;
  fabric::ContextView context;
  context.process = 0;
  context.device = 0;
  yard.snapshot().contexts.push_back(context);
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "context-limit");
  EXPECT_EQ(
      found.headline,
      "rank 0 (pid 100) waits in ibv_open_device for node0/en3, which allows 1 context and is "
      "held by rank 0 (pid 100), the waiter itself");
  EXPECT_THAT(found.names, IsSupersetOf({"en3", "node0/en3", "rank 0"}));
}

TEST(Diagnosis, PeerDead) {
  Yard yard;
  yard.connect(0);
  yard.end(1, 9);
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "peer-dead");
  EXPECT_THAT(found.headline, HasSubstr("rank 1 (pid 101) was ended by signal 9"));
}

TEST(Diagnosis, PeerDeadOutweighsTheErrorsOfSurvivors) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.end(1, 9);
  yard.fail(0, "deadline-exceeded");
  EXPECT_EQ(yard.diagnose().verdict, "peer-dead");
}

// A rank that ended well is not dead: who waits for it waits for too much.
TEST(Diagnosis, FinishedRankIsNotDead) {
  Yard yard;
  yard.rank(0).alive = false;
  yard.rank(0).finished = true;
  yard.rank(0).exit = 0;
  yard.connect(0);
  yard.pair(1, 0).receives_posted = 1;
  EXPECT_EQ(yard.diagnose().verdict, "receive-never-filled");
}

TEST(Diagnosis, PeerStopped) {
  Yard yard;
  yard.rank(1).stopped = true;
  EXPECT_EQ(yard.diagnose().verdict, "peer-stopped");
}

TEST(Diagnosis, VerdictsOfErrorsByName) {
  for (const char* code :
       {"limit-reached", "side-channel-lost", "mismatched-collectives", "completion-error"}) {
    Yard yard;
    yard.evidence.stuck = false;
    yard.fail(0, code);
    EXPECT_EQ(yard.diagnose().verdict, code);
  }
}

// The first cause counts, not the loss of the side channel that it brings to the others.
TEST(Diagnosis, AnErrorThatFollowsAnotherIsNotTheCause) {
  Yard yard;
  yard.evidence.stuck = false;
  yard.fail(0, "side-channel-lost");
  yard.fail(1, "limit-reached");
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "limit-reached");
  EXPECT_THAT(found.names, Contains("rank 1"));
}

TEST(Diagnosis, ExitCode) {
  Yard yard;
  yard.evidence.stuck = false;
  for (int rank : {0, 1}) {
    yard.rank(rank).alive = false;
    yard.rank(rank).finished = rank == 0;
    yard.rank(rank).exit = rank * 3;
  }
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "error");
  EXPECT_EQ(found.headline, "rank 1 exited with code 3");
}

TEST(Diagnosis, StuckTellsWhatEachWaitsFor) {
  Yard yard;
  yard.rank(0).place = "barrier, iteration 2";
  Diagnosis found = yard.diagnose();
  EXPECT_EQ(found.verdict, "stuck");
  EXPECT_THAT(found.details, Contains("rank 0 (in barrier, iteration 2) polls in vain"));
}

}  // namespace
}  // namespace railyard::harness
