// What a request that fails, or is given up, may still do to others: nothing.
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class FailedRequestTest : public VerbsTest, public testing::WithParamInterface<ibv_qp_type> {
 protected:
  static bool reliable() { return GetParam() == IBV_QPT_RC; }
  static ibv_sge wrong(ibv_sge piece) {
    piece.lkey ^= 0x5555;
    return piece;
  }
};

INSTANTIATE_TEST_SUITE_P(Transport, FailedRequestTest, testing::Values(IBV_QPT_RC, IBV_QPT_UC),
                         [](const auto& type) { return type.param == IBV_QPT_RC ? "RC" : "UC"; });

TEST_P(FailedRequestTest, WhatFollowsItIsNotSent) {
  cluster("connectx");
  program([] {
    Program here;
    LocalPair pairs(here, {.type = GetParam()});
    Buffer from(here, 4096), to(here, 4096);
    ASSERT_EQ(pairs.right.receive({to.piece(0, 8)}), 0);
    ASSERT_EQ(pairs.left.send({wrong(from.piece(0, 8))}), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 8)}), 0);
    EXPECT_TRUE(pairs.right_queue.quiet());
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_LOC_PROT_ERR);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_WR_FLUSH_ERR);
    EXPECT_TRUE(pairs.right_queue.quiet());
  });
}

// On connectx a reliable message tries again until there is a receive; on permissive an unreliable
// one is held. Neither outlives its sender's giving up.
TEST_P(FailedRequestTest, WhatIsFlushedDoesNotArriveLater) {
  cluster(reliable() ? "connectx" : "permissive");
  program([] {
    Program here;
    LocalPair pairs(here, {.type = GetParam()});
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
    EXPECT_TRUE(pairs.right_queue.quiet());
    ASSERT_EQ(pairs.left.to(IBV_QPS_ERR), 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_WR_FLUSH_ERR);
    ASSERT_EQ(pairs.right.receive({buffer.piece(8, 8)}), 0);
    EXPECT_TRUE(pairs.right_queue.quiet());
  });
}

TEST_P(FailedRequestTest, WrongMemoryIsFoundThoughThePeerIsGone) {
  cluster("connectx");
  program([] {
    Program here;
    LocalPair pairs(here, {.type = GetParam()});
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.right.to(IBV_QPS_ERR), 0);
    ASSERT_EQ(pairs.left.send({wrong(buffer.piece(0, 8))}), 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_LOC_PROT_ERR);
  });
}

// A device acknowledges on arrival: what its program does to the queue pair later takes nothing
// back.
class EndedReceiverTest : public VerbsTest {
 protected:
  // Sends a message that has a receive, and ends the receiver before it has looked.
  void ended(const std::function<void(std::unique_ptr<Pair>& receiver, Queue& received)>& end) {
    cluster("connectx");
    program([&] {
      Program here;
      Queue sent(here), received(here);
      Buffer buffer(here, 4096);
      Pair sender(here, sent);
      auto receiver = std::make_unique<Pair>(here, received);
      sender.connect(receiver->address());
      receiver->connect(sender.address());
      ASSERT_EQ(receiver->receive({buffer.piece(0, 8)}, 1), 0);
      ASSERT_EQ(receiver->receive({buffer.piece(0, 8)}, 2), 0);
      ASSERT_EQ(sender.send({buffer.piece(8, 8)}), 0);
      end(receiver, received);
      EXPECT_EQ(sent.next().status, IBV_WC_SUCCESS);
    });
  }
};

TEST_F(EndedReceiverTest, InErrorKeepsWhatHadArrived) {
  ended([](std::unique_ptr<Pair>& receiver, Queue& received) {
    ASSERT_EQ(receiver->to(IBV_QPS_ERR), 0);
    ibv_wc first = received.next(), second = received.next();
    EXPECT_EQ(first.wr_id, 1u);
    EXPECT_EQ(first.status, IBV_WC_SUCCESS);
    EXPECT_EQ(second.wr_id, 2u);
    EXPECT_EQ(second.status, IBV_WC_WR_FLUSH_ERR);
  });
}

TEST_F(EndedReceiverTest, ResetHasAcknowledgedWhatHadArrived) {
  ended([](std::unique_ptr<Pair>& receiver, Queue&) { ASSERT_EQ(receiver->to(IBV_QPS_RESET), 0); });
}

TEST_F(EndedReceiverTest, DestroyedHasAcknowledgedWhatHadArrived) {
  ended([](std::unique_ptr<Pair>& receiver, Queue&) { receiver.reset(); });
}

// Nor does it hear a reliable sender that did not begin anew with it: their PSNs are out of step.
TEST_P(FailedRequestTest, AResetReceiverGetsNothingTwice) {
  cluster("connectx");
  program([] {
    Program here;
    LocalPair pairs(here, {.type = GetParam(), .timeout = 10, .retries = 1});
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(8, 8)}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    ASSERT_EQ(pairs.right.to(IBV_QPS_RESET), 0);
    pairs.right.connect(pairs.left.address());
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}), 0);
    EXPECT_TRUE(pairs.right_queue.quiet());
    ASSERT_EQ(pairs.left.send({buffer.piece(8, 8)}), 0);
    if (reliable()) {
      EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_RETRY_EXC_ERR);
    } else {
      EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    }
  });
}

}  // namespace
}  // namespace railyard::test
