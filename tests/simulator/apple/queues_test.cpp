// The depth of queues, which is counted in frames, and what becomes of one post too many.
#include <gtest/gtest.h>
#include <cerrno>
#include <cstring>
#include <functional>

#include "apple/apple_test.h"

namespace railyard::test {
namespace {

using AppleQueuesTest = AppleTest;

TEST_F(AppleQueuesTest, OnePieceARequest) {
  on_a_mac([] {
    Program here;
    EXPECT_EQ(here.device_attributes().max_sge, 1);
    Queue queue(here);
    EXPECT_EQ(create(here, queue, IBV_QPT_UC, {16, 16, 2, 1, 0}), nullptr);
    EXPECT_EQ(errno, EINVAL);
  });
}

TEST_F(AppleQueuesTest, QueuesAreGrantedInFrames) {
  on_a_mac([] {
    Program here;
    Queue queue(here);
    Pair small(here, queue, {.type = IBV_QPT_UC, .sends = 256, .receives = 256});
    EXPECT_EQ(small.granted().max_send_wr, 1023u);
    EXPECT_EQ(small.granted().max_recv_wr, 1023u);
    Pair large(here, queue, {.type = IBV_QPT_UC, .sends = 4095, .receives = 4095});
    EXPECT_EQ(large.granted().max_send_wr, 4095u);
    ibv_qp_attr seen{};
    ibv_qp_init_attr initial{};
    ASSERT_EQ(ibv_query_qp(small.get(), &seen, IBV_QP_CAP, &initial), 0);
    EXPECT_EQ(seen.cap.max_send_wr, 1023u);
    EXPECT_EQ(create(here, queue, IBV_QPT_UC, {4096, 16, 1, 1, 0}), nullptr);
    EXPECT_EQ(here.device_attributes().max_qp_wr, 4095);
  });
}

TEST_F(AppleQueuesTest, AFullQueueIsFullOfFramesNotOfRequests) {
  on_a_mac([] {
    Program here;
    LocalPair pairs(here, options());
    Buffer buffer(here, 256 * kFrame);
    // 1023 frames were granted: three messages of 256 frames and one of 255 fit.
    for (int i = 0; i < 3; ++i) ASSERT_EQ(pairs.right.receive({buffer.all()}), 0) << i;
    EXPECT_EQ(pairs.right.receive({buffer.all()}), ENOMEM);
    EXPECT_EQ(pairs.right.receive({buffer.piece(0, 255 * kFrame)}), 0);
    EXPECT_EQ(pairs.right.receive({buffer.piece(0, 1)}), ENOMEM);
  });
}

TEST_F(AppleQueuesTest, ReceivesArePostedFromReadyToSend) {
  on_a_mac([] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, kFrame);
    ASSERT_EQ(pair.to_init(), 0);
    EXPECT_EQ(pair.receive({buffer.all()}), EINVAL) << "in INIT";
    ASSERT_EQ(pair.to_rtr(pair.address()), 0);
    EXPECT_EQ(pair.receive({buffer.all()}), EINVAL) << "in RTR";
    ASSERT_EQ(pair.to_rts(), 0);
    EXPECT_EQ(pair.receive({buffer.all()}), 0) << "in RTS";
  });
}

// The other reading of TN3205 ("after RTR the controller processes receives").
TEST_F(AppleQueuesTest, ReceivesMayBePostedBeforeReadyToSend) {
  on_a_mac(
      [] {
        Program here;
        Queue queue(here);
        Pair pair(here, queue, options());
        Buffer buffer(here, kFrame);
        ASSERT_EQ(pair.to_init(), 0);
        EXPECT_EQ(pair.receive({buffer.all()}), 0) << "in INIT";
        ASSERT_EQ(pair.to_rtr(pair.address()), 0);
        EXPECT_EQ(pair.receive({buffer.all()}), 0) << "in RTR";
      },
      R"({"rules": {"receive_needs_rts": false}})");
}

// JACCL asks for 32 and sends 128 frames at once: that works only where more is granted than asked
// for.
TEST_F(AppleQueuesTest, AStrictDeviceGrantsWhatWasAskedFor) {
  on_a_mac(
      [] {
        Program here;
        LocalPair pairs(
            here,
            {.type = IBV_QPT_UC, .sends = 32, .receives = 32, .access = IBV_ACCESS_LOCAL_WRITE});
        EXPECT_EQ(pairs.left.granted().max_send_wr, 32u);
        Buffer buffer(here, 128 * kFrame);
        EXPECT_EQ(pairs.left.send({buffer.all()}), ENOMEM);
        EXPECT_EQ(pairs.left.send({buffer.piece(0, 32 * kFrame)}), 0);
        EXPECT_EQ(pairs.left.send({buffer.piece(0, 1)}), ENOMEM);
      },
      R"({"rules": {"min_granted": 1}})");
}

TEST_F(AppleQueuesTest, NoInlineData) {
  on_a_mac([] {
    Program here;
    Queue queue(here);
    EXPECT_EQ(create(here, queue, IBV_QPT_UC, {16, 16, 1, 1, 1}), nullptr);
    EXPECT_EQ(errno, EINVAL);
    LocalPair pairs(here, {.type = IBV_QPT_UC});
    EXPECT_EQ(pairs.left.granted().max_inline_data, 0u);
  });
}

// Four receives fit, a fifth does not; messages of four frames carry their number.
void one_receive_too_many(const std::function<void(LocalPair&, Buffer& from, Buffer& to)>& after) {
  Program here;
  LocalPair pairs(
      here, {.type = IBV_QPT_UC, .sends = 64, .receives = 16, .access = IBV_ACCESS_LOCAL_WRITE});
  Buffer from(here, 20 * kFrame), to(here, 20 * kFrame);
  for (size_t i = 0; i < 5; ++i) {
    from.fill(i, 4 * i * kFrame, 4 * kFrame);
    ASSERT_EQ(pairs.right.receive({to.piece(4 * i * kFrame, 4 * kFrame)}, i), 0) << i;
  }
  for (size_t i = 0; i < 5; ++i)
    ASSERT_EQ(pairs.left.send({from.piece(4 * i * kFrame, 4 * kFrame)}), 0);
  for (size_t i = 0; i < 4; ++i) {
    ibv_wc received = pairs.right_queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.wr_id, i);
    EXPECT_TRUE(to.holds(i, 4 * i * kFrame, 4 * kFrame)) << i;
  }
  after(pairs, from, to);
}

// The "RDMA-first programming" note: 8193 receives are taken in silence, and data is corrupted
// later.
TEST_F(AppleQueuesTest, AReceiveTooManyMayDamageItsMessage) {
  on_a_mac(
      [] {
        one_receive_too_many([](LocalPair& pairs, Buffer& from, Buffer& to) {
          ibv_wc received = pairs.right_queue.next();
          EXPECT_EQ(received.status, IBV_WC_SUCCESS);
          EXPECT_EQ(received.wr_id, 4u);
          EXPECT_EQ(received.byte_len, 4 * kFrame);
          EXPECT_NE(memcmp(to.data() + 16 * kFrame, from.data() + 16 * kFrame, 4 * kFrame), 0);
        });
      },
      R"({"rules": {"min_granted": 1, "over_post": "corrupt"}})");
}

// ds4's transport: completions never arrive and both ends spin.
TEST_F(AppleQueuesTest, AReceiveTooManyMayNeverBeFilled) {
  on_a_mac(
      [] {
        one_receive_too_many([](LocalPair& pairs, Buffer&, Buffer&) {
          EXPECT_TRUE(pairs.right_queue.quiet(Milliseconds(50)));
          for (int i = 0; i < 4; ++i) EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
          EXPECT_TRUE(pairs.left_queue.quiet());
        });
      },
      R"({"rules": {"min_granted": 1, "over_post": "swallow"}})");
}

// However many there are, those that are taken keep their order.
TEST_F(AppleQueuesTest, ThousandsOfReceivesTooManyAreTaken) {
  on_a_mac(
      [] {
        Program here;
        LocalPair pairs(here, options());
        Buffer buffer(here, kFrame);
        constexpr uint64_t kMany = 8193;
        for (uint64_t i = 0; i < kMany; ++i)
          ASSERT_EQ(pairs.right.receive({buffer.all()}, i), 0) << i;
        for (uint64_t i = 0; i < kMany; ++i) {
          ASSERT_EQ(pairs.left.send({buffer.all()}), 0);
          ASSERT_EQ(pairs.right_queue.next().wr_id, i);
          ASSERT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
        }
      },
      R"({"rules": {"over_post": "corrupt"}})");
}

}  // namespace
}  // namespace railyard::test
