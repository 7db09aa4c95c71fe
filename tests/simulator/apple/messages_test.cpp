// What becomes of a message: receives, frames, lengths, what a completion means.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "apple/apple_test.h"

namespace railyard::test {
namespace {

using AppleMessagesTest = AppleTest;

TEST_F(AppleMessagesTest, AMessageWaitsForItsReceive) {
  on_a_mac([] {
    Program here;
    LocalPair pairs(here, options());
    Buffer from(here, kFrame), to(here, kFrame);
    from.fill(1);
    ASSERT_EQ(pairs.left.send({from.all()}), 0);
    EXPECT_TRUE(pairs.left_queue.quiet(Milliseconds(50)));
    ASSERT_EQ(pairs.right.receive({to.all()}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(to.holds(1));
  });
}

TEST_F(AppleMessagesTest, FrameCountsMustMatch) {
  on_a_mac([] {
    Program here;
    for (size_t receive : {1 * kFrame, 8 * kFrame}) {
      SCOPED_TRACE(receive);
      LocalPair pairs(here, options());
      Buffer buffer(here, 16 * kFrame);
      ASSERT_EQ(pairs.right.receive({buffer.piece(0, receive)}), 0);
      ASSERT_EQ(pairs.left.send({buffer.piece(8 * kFrame, 4 * kFrame)}), 0);
      EXPECT_NE(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    }
  });
}

TEST_F(AppleMessagesTest, ABrokenFrameCountsAsOne) {
  on_a_mac([] {
    Program here;
    LocalPair pairs(here, options());
    Buffer from(here, 8 * kFrame), to(here, 8 * kFrame);
    from.fill(2);
    // 2 frames and a byte meet a receive of 3 frames.
    ASSERT_EQ(pairs.right.receive({to.piece(0, 3 * kFrame)}), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 2 * kFrame + 1)}), 0);
    ibv_wc received = pairs.right_queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.byte_len, 2 * kFrame + 1);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(AppleMessagesTest, TheFabricCountsFrameMismatches) {
  cluster("apple-thunderbolt5", 2);
  pid_t pid = start(0, [&] {
    Program here;
    LocalPair pairs(here, options());
    Buffer buffer(here, 8 * kFrame);
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, kFrame)}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(0, 2 * kFrame)}), 0);
    pairs.right_queue.next();
    meeting().signal(0);
    meeting().wait(1);
  });
  meeting().wait(0);
  uint64_t mismatches = 0;
  for (const auto& pair : fabric().snapshot().queue_pairs) mismatches += pair.frame_mismatches;
  EXPECT_EQ(mismatches, 1u);
  meeting().signal(1);
  EXPECT_EQ(finish(pid), 0);
}

TEST_F(AppleMessagesTest, MessagesEndBelowSixteenMegabytes) {
  on_a_mac([] {
    Program here;
    EXPECT_EQ(here.port_attributes().max_msg_sz, 16'773'120u);
    LocalPair pairs(
        here,
        {.type = IBV_QPT_UC, .sends = 4095, .receives = 4095, .access = IBV_ACCESS_LOCAL_WRITE});
    Buffer from(here, 17 << 20), to(here, 17 << 20);
    EXPECT_NE(pairs.left.send({from.piece(0, 16'773'121)}), 0);
    from.fill(3, 0, 16'773'120);
    ASSERT_EQ(pairs.right.receive({to.piece(0, 16'773'120)}), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 16'773'120)}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(to.holds(3, 0, 16'773'120));
  });
}

// antirez/ds4#1024: an adapter with unreliable connections drops it, and says nothing.
TEST_F(AppleMessagesTest, AnotherDriverDropsAMessageWithoutReceive) {
  on_a_mac(
      [] {
        Program here;
        LocalPair pairs(here, options());
        Buffer buffer(here, kFrame);
        ASSERT_EQ(pairs.left.send({buffer.all()}), 0);
        EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
        ASSERT_EQ(pairs.right.receive({buffer.all()}), 0);
        EXPECT_TRUE(pairs.right_queue.quiet());
      },
      R"({"rules": {"no_receive": "drop"}})");
}

// hellas#71: the Linux driver's queue pair dies of a message without a receive.
TEST_F(AppleMessagesTest, AnotherDriverFailsOnAMessageWithoutReceive) {
  on_a_mac(
      [] {
        Program here;
        LocalPair pairs(here, options());
        Buffer buffer(here, kFrame);
        ASSERT_EQ(pairs.left.send({buffer.all()}), 0);
        EXPECT_TRUE(pairs.right_queue.quiet());
        EXPECT_EQ(pairs.right.state(), IBV_QPS_ERR);
      },
      R"({"rules": {"no_receive": "fail"}})");
}

// As InfiniBand has it: shorter messages are welcome.
TEST_F(AppleMessagesTest, AnotherDriverTakesAnyReceiveThatIsLongEnough) {
  on_a_mac(
      [] {
        Program here;
        LocalPair pairs(here, options());
        Buffer from(here, 4 * kFrame), to(here, 8 * kFrame);
        from.fill(6);
        ASSERT_EQ(pairs.right.receive({to.all()}), 0);
        ASSERT_EQ(pairs.left.send({from.all()}), 0);
        EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
        EXPECT_TRUE(to.holds(6, 0, 4 * kFrame));
      },
      R"({"rules": {"frame_bytes": 0}})");
}

// JACCL sends messages of more than a frame on macOS 26.3 and later only.
TEST_F(AppleMessagesTest, OnMacOs26Point2AMessageIsAFrame) {
  on_a_mac(
      [] {
        Program here;
        EXPECT_EQ(here.port_attributes().max_msg_sz, kFrame);
        LocalPair pairs(here, options());
        Buffer buffer(here, 2 * kFrame);
        EXPECT_NE(pairs.left.send({buffer.piece(0, kFrame + 1)}), 0);
        ASSERT_EQ(pairs.right.receive({buffer.piece(kFrame, kFrame)}), 0);
        ASSERT_EQ(pairs.left.send({buffer.piece(0, kFrame)}), 0);
        EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
      },
      R"({"device": {"firmware": "26.2"}, "rules": {"max_message_bytes": 4096}})");
}

// The first message of a cable is damaged or dropped; TN3205: "Thunderbolt does not perform Acks".
class AppleCompletionTest : public AppleTest {
 protected:
  void send_one_of_two(fabric::MessageFault::Action harm,
                       const std::function<void(Queue&, Buffer&)>& receiver) {
    cluster("apple-thunderbolt5", 2);
    fabric::MessageFault fault;
    fault.cable = fabric().cable("c1");
    fault.action = harm;
    int id = fabric().arm(fault);
    auto sender = [&] {
      Program here;
      Queue queue(here);
      Pair pair(here, queue, options());
      Buffer buffer(here, kFrame);
      memset(buffer.data(), 0, kFrame);
      pair.connect(meeting().exchange(0, pair.address()));
      meeting().wait(2);
      ASSERT_EQ(pair.send({buffer.all()}), 0);
      EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
      meeting().wait(3);
    };
    auto target = [&] {
      Program here;
      Queue queue(here);
      Pair pair(here, queue, options());
      Buffer buffer(here, kFrame);
      memset(buffer.data(), 0xff, kFrame);
      pair.connect(meeting().exchange(1, pair.address()));
      ASSERT_EQ(pair.receive({buffer.all()}), 0);
      meeting().signal(2);
      receiver(queue, buffer);
      meeting().signal(3);
    };
    together({sender, target});
    EXPECT_EQ(fabric().snapshot().faults.at(static_cast<size_t>(id)).fired, 1u);
  }
};

TEST_F(AppleCompletionTest, DoesNotSayThatTheDataIsIntact) {
  send_one_of_two(fabric::MessageFault::Action::corrupt, [](Queue& queue, Buffer& buffer) {
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(std::count(buffer.data(), buffer.data() + kFrame, 0), kFrame - 1);
  });
}

TEST_F(AppleCompletionTest, DoesNotSayThatTheDataHasArrived) {
  send_one_of_two(fabric::MessageFault::Action::drop,
                  [](Queue& queue, Buffer&) { EXPECT_TRUE(queue.quiet(Milliseconds(50))); });
}

// Posts eight messages of 16 frames at once; `arriving` of them do, and no other.
void eight_deep(int arriving) {
  Program here;
  LocalPair pairs(
      here, {.type = IBV_QPT_UC, .sends = 256, .receives = 256, .access = IBV_ACCESS_LOCAL_WRITE});
  Buffer from(here, 16 * kFrame), to(here, 16 * kFrame);
  for (int i = 0; i < 8; ++i) ASSERT_EQ(pairs.right.receive({to.all()}), 0);
  for (int i = 0; i < 8; ++i) ASSERT_EQ(pairs.left.send({from.all()}), 0);
  for (int i = 0; i < arriving; ++i) EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
  EXPECT_TRUE(pairs.right_queue.quiet());
  for (int i = 0; i < arriving; ++i) EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
  EXPECT_TRUE(pairs.left_queue.quiet());
}

TEST_F(AppleMessagesTest, LongMessagesMayFollowEachOther) {
  on_a_mac([] { eight_deep(8); });
}

// The "RDMA-first programming" note: 1 or 2 messages of 16 frames in flight are clean, 8 stall.
TEST_F(AppleMessagesTest, TooManyLongMessagesInFlightMayStall) {
  on_a_mac([] { eight_deep(2); }, R"({"rules": {"multi_frame_in_flight": 2}})");
}

TEST_F(AppleMessagesTest, ShortMessagesDoNotCountAsLongOnes) {
  on_a_mac(
      [] {
        Program here;
        LocalPair pairs(here, options());
        Buffer buffer(here, kFrame);
        for (int i = 0; i < 100; ++i) ASSERT_EQ(pairs.right.receive({buffer.all()}), 0);
        for (int i = 0; i < 100; ++i) ASSERT_EQ(pairs.left.send({buffer.all()}), 0);
        for (int i = 0; i < 100; ++i) ASSERT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
      },
      R"({"rules": {"multi_frame_in_flight": 2}})");
}

}  // namespace
}  // namespace railyard::test
