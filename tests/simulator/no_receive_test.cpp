// Messages that meet no receive: RNR on reliable connections (InfiniBand specification, 9.7.5.2.8),
// what the profile says on unreliable ones.
#include <gtest/gtest.h>
#include <unistd.h>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class NoReceiveTest : public VerbsTest {
 protected:
  void with_pairs(const char* profile, PairOptions options, const char* overrides,
                  const std::function<void(Program&, LocalPair&)>& body) {
    cluster(profile, 1, overrides);
    program([&] {
      Program here;
      LocalPair pairs(here, options);
      body(here, pairs);
    });
  }
};

TEST_F(NoReceiveTest, AReliableSenderGivesUpAfterItsRetries) {
  with_pairs("connectx", {.rnr_retries = 2, .rnr_timer = 1}, "",
             [](Program& here, LocalPair& pairs) {
               Buffer buffer(here, 4096);
               ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}, {.id = 1}), 0);
               ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}, {.id = 2}), 0);
               ibv_wc failed = pairs.left_queue.next();
               EXPECT_EQ(failed.wr_id, 1u);
               EXPECT_EQ(failed.status, IBV_WC_RNR_RETRY_EXC_ERR);
               ibv_wc flushed = pairs.left_queue.next();
               EXPECT_EQ(flushed.wr_id, 2u);
               EXPECT_EQ(flushed.status, IBV_WC_WR_FLUSH_ERR);
               EXPECT_EQ(pairs.left.state(), IBV_QPS_ERR);
               EXPECT_EQ(pairs.right.state(), IBV_QPS_RTS);
             });
}

TEST_F(NoReceiveTest, AReliableSenderWithSevenRetriesWaitsForEver) {
  with_pairs("connectx", {.rnr_retries = 7, .rnr_timer = 1}, "",
             [](Program& here, LocalPair& pairs) {
               Buffer from(here, 4096), to(here, 4096);
               from.fill(9, 0, 64);
               ASSERT_EQ(pairs.left.send({from.piece(0, 64)}), 0);
               EXPECT_TRUE(pairs.left_queue.quiet());
               ASSERT_EQ(pairs.right.receive({to.piece(0, 64)}), 0);
               EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
               EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
               EXPECT_TRUE(to.holds(9, 0, 64));
             });
}

TEST_F(NoReceiveTest, DroppedIsGoneAndTheSenderDoesNotKnow) {
  with_pairs("connectx", {.type = IBV_QPT_UC}, "", [](Program& here, LocalPair& pairs) {
    Buffer from(here, 4096), to(here, 4096);
    from.fill(1, 0, 8);
    from.fill(2, 8, 8);
    ASSERT_EQ(pairs.left.send({from.piece(0, 8)}, {.id = 1}), 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    ASSERT_EQ(pairs.right.receive({to.piece(0, 8)}, 7), 0);
    EXPECT_TRUE(pairs.right_queue.quiet());
    ASSERT_EQ(pairs.left.send({from.piece(8, 8)}, {.id = 2}), 0);
    ibv_wc received = pairs.right_queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.wr_id, 7u);
    EXPECT_TRUE(to.holds(2, 0, 8));
  });
}

// The outcome may not depend on who looks first: the receive is posted after the message arrived,
// although nobody has polled in between.
TEST_F(NoReceiveTest, DroppedIsDecidedByTimeNotByPolling) {
  with_pairs("connectx", {.type = IBV_QPT_UC}, "", [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
    usleep(20'000);
    ASSERT_EQ(pairs.right.receive({buffer.piece(8, 8)}), 0);
    EXPECT_TRUE(pairs.right_queue.quiet());
  });
}

TEST_F(NoReceiveTest, HeldArrivesWithTheReceive) {
  with_pairs("permissive", {.type = IBV_QPT_UC}, "", [](Program& here, LocalPair& pairs) {
    Buffer from(here, 4096), to(here, 4096);
    from.fill(4, 0, 8);
    ASSERT_EQ(pairs.left.send({from.piece(0, 8)}), 0);
    EXPECT_TRUE(pairs.left_queue.quiet());
    ASSERT_EQ(pairs.right.receive({to.piece(0, 8)}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(to.holds(4, 0, 8));
  });
}

TEST_F(NoReceiveTest, FailedTakesTheReceivingQueuePairToError) {
  with_pairs("permissive", {.type = IBV_QPT_UC}, R"({"rules": {"no_receive": "fail"}})",
             [](Program& here, LocalPair& pairs) {
               Buffer buffer(here, 4096);
               ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
               for (int i = 0; i < 1000 && pairs.right.state() != IBV_QPS_ERR; ++i) {
                 ibv_wc none;
                 ASSERT_EQ(ibv_poll_cq(pairs.right_queue.get(), 1, &none), 0);
                 usleep(1000);
               }
               EXPECT_EQ(pairs.right.state(), IBV_QPS_ERR);
             });
}

}  // namespace
}  // namespace railyard::test
