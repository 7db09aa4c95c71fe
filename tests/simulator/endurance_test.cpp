// What strains the simulator rather than the specification: the largest of everything, many of
// everything, and programs that leave early.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class EnduranceTest : public VerbsTest, public testing::WithParamInterface<ibv_qp_type> {
 protected:
  static PairOptions options() { return {.type = GetParam()}; }
};

INSTANTIATE_TEST_SUITE_P(Transport, EnduranceTest, testing::Values(IBV_QPT_RC, IBV_QPT_UC),
                         [](const auto& type) { return type.param == IBV_QPT_RC ? "RC" : "UC"; });

TEST_P(EnduranceTest, TheMostInlineDataIsTakenWhenItIsPosted) {
  cluster("permissive");
  program([] {
    Program here;
    PairOptions wanted = options();
    wanted.inline_bytes = 4096;
    LocalPair pairs(here, wanted);
    Buffer from(here, 4096), to(here, 4096);
    // The first has shown both ends how payloads may travel; the second must not travel by
    // reference.
    for (uint64_t seed : {1, 2}) {
      from.fill(seed);
      ASSERT_EQ(pairs.left.send({from.all()}, {.flags = IBV_SEND_INLINE}), 0);
      memset(from.data(), 0, from.bytes());
      ASSERT_EQ(pairs.right.receive({to.all()}), 0);
      ASSERT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
      EXPECT_TRUE(to.holds(seed));
      ASSERT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    }
  });
}

TEST_P(EnduranceTest, AMessageOfManyMegabytesCrosses) {
  cluster("connectx", 2);
  constexpr size_t kBytes = (48 << 20) + 1;
  auto receiver = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, kBytes);
    ASSERT_EQ(pair.to_init(), 0);
    ASSERT_EQ(pair.receive({buffer.all()}), 0);
    Address peer = meeting().exchange(1, pair.address());
    ASSERT_EQ(pair.to_rtr(peer), 0);
    ASSERT_EQ(pair.to_rts(), 0);
    meeting().signal(2);
    ibv_wc received = queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.byte_len, kBytes);
    EXPECT_TRUE(buffer.holds(3));
  };
  auto sender = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, kBytes);
    buffer.fill(3);
    pair.connect(meeting().exchange(0, pair.address()));
    meeting().wait(2);
    ASSERT_EQ(pair.send({buffer.all()}), 0);
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
  };
  together({sender, receiver});
}

// A completion says that the buffer is free and, where it means more, that the message is there:
// the receiver gets it although the sender has left, and left its memory.
TEST_P(EnduranceTest, ASenderMayLeaveAfterItsCompletion) {
  for (size_t bytes : {size_t{8}, size_t{5000}, size_t{1} << 20}) {
    SCOPED_TRACE(bytes);
    cluster("connectx", 2);
    int place = bytes == 8 ? 0 : bytes == 5000 ? 20 : 40;
    pid_t receiver = start(1, [&] {
      Program here;
      Queue queue(here);
      Pair pair(here, queue, options());
      Buffer buffer(here, 1 << 20);
      ASSERT_EQ(pair.to_init(), 0);
      ASSERT_EQ(pair.receive({buffer.all()}), 0);
      meeting().tell(place + 1, pair.address());
      ASSERT_EQ(pair.to_rtr(meeting().hear<Address>(place)), 0);
      ASSERT_EQ(pair.to_rts(), 0);
      meeting().signal(place + 2);
      meeting().wait(place + 3);
      usleep(20'000);
      EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
      EXPECT_TRUE(buffer.holds(bytes, 0, bytes));
    });
    pid_t sender = start(0, [&] {
      Program here;
      Queue queue(here);
      Pair pair(here, queue, options());
      Buffer buffer(here, 1 << 20);
      buffer.fill(bytes, 0, bytes);
      meeting().tell(place, pair.address());
      pair.connect(meeting().hear<Address>(place + 1));
      meeting().wait(place + 2);
      ASSERT_EQ(pair.send({buffer.piece(0, bytes)}), 0);
      EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
    });
    EXPECT_EQ(finish(sender), 0);
    meeting().signal(place + 3);
    EXPECT_EQ(finish(receiver), 0);
  }
}

TEST_P(EnduranceTest, ManyQueuePairsOfOneProcessWorkAtOnce) {
  cluster("permissive");
  program([] {
    constexpr size_t kPairs = 200;
    Program here;
    Queue sends(here, 1024), receives(here, 1024);
    Buffer buffer(here, kPairs * 128);
    PairOptions wanted = options();
    wanted.sends = wanted.receives = 4;
    std::vector<std::unique_ptr<Pair>> left, right;
    for (size_t i = 0; i < kPairs; ++i) {
      left.push_back(std::make_unique<Pair>(here, sends, receives, wanted));
      right.push_back(std::make_unique<Pair>(here, sends, receives, wanted));
      left[i]->connect(right[i]->address());
      right[i]->connect(left[i]->address());
    }
    for (size_t i = 0; i < kPairs; ++i) {
      buffer.fill(i, i * 128, 64);
      ASSERT_EQ(right[i]->receive({buffer.piece(i * 128 + 64, 64)}, i), 0);
      ASSERT_EQ(left[i]->send({buffer.piece(i * 128, 64)}, {.id = i}), 0);
    }
    std::vector<bool> seen(kPairs);
    for (const ibv_wc& received : receives.next(kPairs)) {
      ASSERT_EQ(received.status, IBV_WC_SUCCESS);
      EXPECT_FALSE(seen.at(received.wr_id));
      seen[received.wr_id] = true;
      EXPECT_TRUE(buffer.holds(received.wr_id, received.wr_id * 128 + 64, 64));
    }
    for (const ibv_wc& sent : sends.next(kPairs)) EXPECT_EQ(sent.status, IBV_WC_SUCCESS);
  });
}

TEST_P(EnduranceTest, ThreadsMayShareAQueuePair) {
  cluster("permissive");
  program([] {
    constexpr uint64_t kEach = 2000;
    Program here;
    LocalPair pairs(here, options());
    Buffer buffer(here, 4096);
    std::atomic<uint64_t> received{0}, sent{0}, posted{0};
    auto poster = [&] {
      for (uint64_t i = 0; i < kEach;) {
        int result = pairs.left.send({buffer.piece(0, 8)});
        if (result == 0) {
          ++i;
          ++posted;
          continue;
        }
        ASSERT_EQ(result, ENOMEM);
        sched_yield();
      }
    };
    auto poller = [&](Queue& queue, std::atomic<uint64_t>& count, bool again) {
      auto deadline = std::chrono::steady_clock::now() + 4 * kPatience;
      while (count.load() < 2 * kEach) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
        ibv_wc completions[8];
        int found = ibv_poll_cq(queue.get(), 8, completions);
        ASSERT_GE(found, 0);
        for (int i = 0; i < found; ++i) {
          ASSERT_EQ(completions[i].status, IBV_WC_SUCCESS);
          if (again) {
            ASSERT_EQ(pairs.right.receive({buffer.piece(64, 8)}), 0);
          }
        }
        count += static_cast<uint64_t>(found);
        if (found == 0) sched_yield();
      }
    };
    for (int i = 0; i < 32; ++i) ASSERT_EQ(pairs.right.receive({buffer.piece(64, 8)}), 0);
    std::thread threads[] = {std::thread(poster), std::thread(poster),
                             std::thread([&] { poller(pairs.left_queue, sent, false); }),
                             std::thread([&] { poller(pairs.left_queue, sent, false); }),
                             std::thread([&] { poller(pairs.right_queue, received, true); })};
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(received.load(), 2 * kEach);
    EXPECT_EQ(sent.load(), 2 * kEach);
  });
}

TEST_P(EnduranceTest, SeveralDevicesOfOneProcessAreApart) {
  cluster("connectx", 1, "", 2);
  program([] {
    Program first(0), second(1);
    LocalPair one(first, options()), other(second, options());
    Buffer mine(first, 4096), yours(second, 4096);
    mine.fill(1, 0, 64);
    yours.fill(2, 0, 64);
    ASSERT_EQ(one.right.receive({mine.piece(64, 64)}), 0);
    ASSERT_EQ(other.right.receive({yours.piece(64, 64)}), 0);
    ASSERT_EQ(one.left.send({mine.piece(0, 64)}), 0);
    ASSERT_EQ(other.left.send({yours.piece(0, 64)}), 0);
    EXPECT_EQ(one.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(other.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(mine.holds(1, 64, 64));
    EXPECT_TRUE(yours.holds(2, 64, 64));
    one.left_queue.next();
    other.left_queue.next();
    // A key of one device is none on the other.
    ASSERT_EQ(other.left.send({mine.piece(0, 8)}), 0);
    ibv_wc failed = other.left_queue.next();
    EXPECT_TRUE(failed.status == IBV_WC_LOC_PROT_ERR ||
                mine.region()->lkey == yours.region()->lkey);
  });
}

TEST_P(EnduranceTest, DevicesOfOneProcessReachEachOther) {
  cluster("connectx", 1, "", 2);
  program([] {
    Program first(0), second(1);
    Queue here(first), there(second);
    Pair left(first, here, options()), right(second, there, options());
    Buffer from(first, 4096), to(second, 4096);
    left.connect(right.address());
    right.connect(left.address());
    from.fill(1, 0, 64);
    ASSERT_EQ(right.receive({to.piece(0, 64)}), 0);
    ASSERT_EQ(left.send({from.piece(0, 64)}), 0);
    EXPECT_EQ(there.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(here.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(to.holds(1, 0, 64));
  });
}

TEST_P(EnduranceTest, OpeningAndClosingManyTimesLeavesNothing) {
  cluster("apple-thunderbolt5", 2);
  program([] {
    for (int i = 0; i < 200; ++i) {
      Program here;
      Queue queue(here);
      Pair pair(here, queue, {.type = IBV_QPT_UC, .access = IBV_ACCESS_LOCAL_WRITE});
      Buffer buffer(here, 65536);
    }
  });
  EXPECT_TRUE(fabric().snapshot().contexts.empty());
}

}  // namespace
}  // namespace railyard::test
