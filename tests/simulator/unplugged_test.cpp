// Messages that were posted while a cable was unplugged or a device broken, and what becomes of them
// afterwards. Most were found by the fuzzer.
#include <gtest/gtest.h>

#include <functional>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class UnpluggedTest : public VerbsTest {
 protected:
  // Two programs: the receiver posts a receive, `before` happens to the cables, the sender posts,
  // `after` happens.
  void send_while(const std::function<void()>& before, const std::function<void()>& after,
                  PairOptions options, const std::function<void(Queue&)>& sender_sees,
                  const std::function<void(Queue&)>& receiver_sees) {
    auto body = [=, this](int me) {
      Program here;
      Queue queue(here);
      Pair pair(here, queue, options);
      Buffer buffer(here, 4096);
      pair.connect(meeting().exchange(me, pair.address()));
      if (me == 1) {
        ASSERT_EQ(pair.receive({buffer.all()}), 0);
        meeting().signal(2);
        meeting().wait(5);
        receiver_sees(queue);
        meeting().signal(6);
        return;
      }
      meeting().signal(7);
      meeting().wait(3);
      ASSERT_EQ(pair.send({buffer.all()}), 0);
      sender_sees(queue);
      meeting().signal(4);
      meeting().wait(6);
    };
    pid_t sender = start(0, [&] { body(0); }), receiver = start(1, [&] { body(1); });
    for (int ready : {2, 7}) meeting().wait(ready);
    before();
    meeting().signal(3);
    meeting().wait(4);
    after();
    meeting().signal(5);
    EXPECT_EQ(finish(sender), 0);
    EXPECT_EQ(finish(receiver), 0);
  }
};

// Its sender has given up: it does not arrive when the cable is back.
TEST_F(UnpluggedTest, AReliableMessageThatTimedOutDoesNotArriveLater) {
  cluster("connectx", 2);
  int cable = 0;
  send_while([&] { fabric().unplug(cable); }, [&] { fabric().plug(cable); },
             {.timeout = 8, .retries = 1},
             [](Queue& queue) { EXPECT_EQ(queue.next().status, IBV_WC_RETRY_EXC_ERR); },
             [](Queue& queue) { EXPECT_TRUE(queue.quiet(Milliseconds(50))); });
}

// Another cable's change says nothing of this one.
TEST_F(UnpluggedTest, AHeldMessageDoesNotArriveWhenAnotherCableChanges) {
  cluster("apple-thunderbolt5", 3);
  send_while([&] { fabric().unplug(fabric().cable("c1")); },
             [&] { fabric().unplug(fabric().cable("c3")); },
             {.type = IBV_QPT_UC, .access = IBV_ACCESS_LOCAL_WRITE},
             [](Queue& queue) { EXPECT_TRUE(queue.quiet()); },
             [](Queue& queue) { EXPECT_TRUE(queue.quiet(Milliseconds(50))); });
}

TEST_F(UnpluggedTest, AHeldMessageArrivesWhenItsCableIsBack) {
  cluster("apple-thunderbolt5", 2);
  send_while([&] { fabric().unplug(fabric().cable("c1")); },
             [&] { fabric().plug(fabric().cable("c1")); },
             {.type = IBV_QPT_UC, .access = IBV_ACCESS_LOCAL_WRITE},
             [](Queue& queue) { EXPECT_TRUE(queue.quiet()); },
             [](Queue& queue) { EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS); });
}

// At once, not when the helper of its program comes to look.
TEST_F(UnpluggedTest, ABrokenDeviceSendsNothing) {
  cluster("connectx", 2);
  send_while([&] { fabric().fail_device(0); }, [] {},
             {.type = IBV_QPT_UC, .access = IBV_ACCESS_LOCAL_WRITE},
             [](Queue& queue) { EXPECT_EQ(queue.next().status, IBV_WC_WR_FLUSH_ERR); },
             [](Queue& queue) { EXPECT_TRUE(queue.quiet(Milliseconds(20))); });
}

TEST_F(UnpluggedTest, ABrokenDeviceTakesNothing) {
  cluster("connectx", 2);
  send_while([&] { fabric().fail_device(1); }, [] {}, {.timeout = 8, .retries = 1},
             [](Queue& queue) { EXPECT_EQ(queue.next().status, IBV_WC_RETRY_EXC_ERR); },
             [](Queue& queue) { EXPECT_EQ(queue.next().status, IBV_WC_WR_FLUSH_ERR); });
}

}  // namespace
}  // namespace railyard::test
