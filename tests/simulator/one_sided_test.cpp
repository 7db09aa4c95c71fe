// RDMA WRITE and READ: keys, ranges, rights, and a target that does nothing (InfiniBand
// specification, 9.4.3, 9.4.4 and 10.6).
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "verbs_test.h"

namespace railyard::test {
namespace {

constexpr int kLocal = IBV_ACCESS_LOCAL_WRITE, kWrite = IBV_ACCESS_REMOTE_WRITE,
              kRead = IBV_ACCESS_REMOTE_READ;

class OneSidedTest : public VerbsTest {
 protected:
  // `there` is what the right queue pair's owner lets others at.
  struct Stage {
    Program here;
    LocalPair pairs;
    Buffer mine, there;
    Stage(PairOptions options, int access)
        : pairs(here, options), mine(here, 1 << 20), there(here, 1 << 20, access) {}

    Window at(size_t offset) const { return {there.window().address + offset, there.window().key}; }
    ibv_wc_status write(size_t bytes, Window to) {
      EXPECT_EQ(pairs.left.send({mine.piece(0, bytes)}, {.opcode = IBV_WR_RDMA_WRITE, .to = to}),
                0);
      return pairs.left_queue.next().status;
    }
    ibv_wc_status read(size_t bytes, Window from) {
      EXPECT_EQ(pairs.left.send({mine.piece(0, bytes)}, {.opcode = IBV_WR_RDMA_READ, .to = from}),
                0);
      return pairs.left_queue.next().status;
    }
  };

  void with_stage(const std::function<void(Stage&)>& body, PairOptions options = {},
                  int access = Buffer::kAllAccess) {
    cluster("connectx");
    program([&] {
      Stage stage(options, access);
      body(stage);
    });
  }
};

TEST_F(OneSidedTest, AWriteArrivesUnseen) {
  with_stage([](Stage& stage) {
    stage.mine.fill(5, 0, 1000);
    ASSERT_EQ(stage.pairs.left.send({stage.mine.piece(0, 1000)},
                                    {.id = 9, .opcode = IBV_WR_RDMA_WRITE, .to = stage.at(17)}),
              0);
    ibv_wc written = stage.pairs.left_queue.next();
    EXPECT_EQ(written.status, IBV_WC_SUCCESS);
    EXPECT_EQ(written.opcode, IBV_WC_RDMA_WRITE);
    EXPECT_EQ(written.wr_id, 9u);
    EXPECT_TRUE(stage.there.holds(5, 17, 1000));
    EXPECT_EQ(stage.there.data()[16], 0);
    EXPECT_EQ(stage.there.data()[1017], 0);
    EXPECT_TRUE(stage.pairs.right_queue.quiet());
  });
}

// As adapters do it, and programs that watch memory rely on.
TEST_F(OneSidedTest, WhoWatchesTheEndOfAWriteSeesAllOfIt) {
  with_stage([](Stage& stage) {
    constexpr uint64_t kRounds = 300;
    for (size_t bytes : {8, 64, 200, 1000, 4096, 40'000, 100'000}) {
      size_t words = bytes / sizeof(uint64_t);
      auto* mine = reinterpret_cast<uint64_t*>(stage.mine.data());
      auto* there = reinterpret_cast<uint64_t*>(stage.there.data());
      there[words - 1] = 0;
      std::atomic<uint64_t> seen = 0;
      std::thread watcher([&] {
        std::atomic_ref end(there[words - 1]);
        for (uint64_t round = 1; round <= kRounds; ++round) {
          while (end.load(std::memory_order_acquire) != round) sched_yield();
          auto whole = std::count(there, there + words, round);
          EXPECT_EQ(static_cast<size_t>(whole), words) << bytes << " bytes, round " << round;
          seen = round;
        }
      });
      for (uint64_t round = 1; round <= kRounds; ++round) {
        std::fill_n(mine, words, round);
        EXPECT_EQ(stage.write(bytes, stage.at(0)), IBV_WC_SUCCESS);
        while (seen != round) sched_yield();
      }
      watcher.join();
    }
  });
}

TEST_F(OneSidedTest, AReadFetches) {
  with_stage([](Stage& stage) {
    stage.there.fill(6, 100, 5000);
    ASSERT_EQ(stage.pairs.left.send({stage.mine.piece(0, 5000)},
                                    {.id = 8, .opcode = IBV_WR_RDMA_READ, .to = stage.at(100)}),
              0);
    ibv_wc read = stage.pairs.left_queue.next();
    EXPECT_EQ(read.status, IBV_WC_SUCCESS);
    EXPECT_EQ(read.opcode, IBV_WC_RDMA_READ);
    EXPECT_EQ(read.wr_id, 8u);
    EXPECT_EQ(read.byte_len, 5000u);
    EXPECT_TRUE(stage.mine.holds(6, 0, 5000));
    EXPECT_EQ(stage.mine.data()[5000], 0);
    EXPECT_TRUE(stage.pairs.right_queue.quiet());
  });
}

TEST_F(OneSidedTest, EverySizeIsWrittenAndRead) {
  with_stage([](Stage& stage) {
    for (size_t bytes : {0, 1, 8, 24, 25, 64, 1024, 4096, 4097, 65536, 65537, 1 << 20}) {
      SCOPED_TRACE(bytes);
      stage.mine.fill(bytes, 0, bytes);
      EXPECT_EQ(stage.write(bytes, stage.at(0)), IBV_WC_SUCCESS);
      EXPECT_TRUE(stage.there.holds(bytes, 0, bytes));
      memset(stage.mine.data(), 0, bytes);
      EXPECT_EQ(stage.read(bytes, stage.at(0)), IBV_WC_SUCCESS);
      EXPECT_TRUE(stage.mine.holds(bytes, 0, bytes));
    }
  });
}

TEST_F(OneSidedTest, AReadIsScattered) {
  with_stage(
      [](Stage& stage) {
        stage.there.fill(2, 0, 300);
        ASSERT_EQ(stage.pairs.left.send({stage.mine.piece(1000, 100), stage.mine.piece(0, 200)},
                                        {.opcode = IBV_WR_RDMA_READ, .to = stage.at(0)}),
                  0);
        EXPECT_EQ(stage.pairs.left_queue.next().status, IBV_WC_SUCCESS);
        EXPECT_EQ(memcmp(stage.mine.data() + 1000, stage.there.data(), 100), 0);
        EXPECT_EQ(memcmp(stage.mine.data(), stage.there.data() + 100, 200), 0);
      },
      {.pieces = 2});
}

TEST_F(OneSidedTest, AnInlineWriteMayBeOverwrittenAtOnce) {
  with_stage(
      [](Stage& stage) {
        uint64_t value = 0x1122334455667788;
        ibv_sge piece{reinterpret_cast<uint64_t>(&value), sizeof value, 0};
        ASSERT_EQ(stage.pairs.left.send(
                      {piece},
                      {.opcode = IBV_WR_RDMA_WRITE, .flags = IBV_SEND_INLINE, .to = stage.at(8)}),
                  0);
        value = 0;
        EXPECT_EQ(stage.pairs.left_queue.next().status, IBV_WC_SUCCESS);
        memcpy(&value, stage.there.data() + 8, sizeof value);
        EXPECT_EQ(value, 0x1122334455667788u);
      },
      {.inline_bytes = 64});
}

TEST_F(OneSidedTest, AWriteWithImmediateTakesAReceive) {
  with_stage([](Stage& stage) {
    Buffer elsewhere(stage.here, 4096);
    stage.mine.fill(5, 0, 100);
    ASSERT_EQ(stage.pairs.right.receive({elsewhere.all()}, 77), 0);
    ASSERT_EQ(
        stage.pairs.left.send(
            {stage.mine.piece(0, 100)},
            {.opcode = IBV_WR_RDMA_WRITE_WITH_IMM, .immediate = htonl(42), .to = stage.at(0)}),
        0);
    ibv_wc received = stage.pairs.right_queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
    EXPECT_EQ(received.wr_id, 77u);
    EXPECT_EQ(received.byte_len, 100u);
    EXPECT_TRUE(received.wc_flags & IBV_WC_WITH_IMM);
    EXPECT_EQ(ntohl(received.imm_data), 42u);
    EXPECT_TRUE(stage.there.holds(5, 0, 100));
    EXPECT_EQ(elsewhere.data()[0], 0) << "the receive's own memory stays as it is";
    EXPECT_EQ(stage.pairs.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(OneSidedTest, AWriteWithImmediateAndNoReceiveIsNotReady) {
  with_stage(
      [](Stage& stage) {
        ASSERT_EQ(stage.pairs.left.send({stage.mine.piece(0, 100)},
                                        {.opcode = IBV_WR_RDMA_WRITE_WITH_IMM, .to = stage.at(0)}),
                  0);
        EXPECT_EQ(stage.pairs.left_queue.next().status, IBV_WC_RNR_RETRY_EXC_ERR);
      },
      {.rnr_retries = 1});
}

TEST_F(OneSidedTest, SendsAndWritesArriveInTheOrderTheyWerePosted) {
  with_stage([](Stage& stage) {
    Buffer inbox(stage.here, 4096);
    for (uint64_t i = 1; i <= 100; ++i) {
      memcpy(stage.mine.data(), &i, sizeof i);
      ASSERT_EQ(stage.pairs.right.receive({inbox.piece(0, 8)}), 0);
      ASSERT_EQ(stage.pairs.left.send({stage.mine.piece(0, 8)},
                                      {.opcode = IBV_WR_RDMA_WRITE, .to = stage.at(0)}),
                0);
      ASSERT_EQ(stage.pairs.left.send({stage.mine.piece(0, 8)}), 0);
      ASSERT_EQ(stage.pairs.right_queue.next().status, IBV_WC_SUCCESS);
      uint64_t written = 0;
      memcpy(&written, stage.there.data(), sizeof written);
      ASSERT_EQ(written, i) << "what was written before a send is there when the send is";
      for (const ibv_wc& done : stage.pairs.left_queue.next(2)) {
        ASSERT_EQ(done.status, IBV_WC_SUCCESS);
      }
    }
  });
}

// -------------------------------------------------------------------------------------------------
// Refusals. The target's queue pair answers with a NAK and both ends leave RTS.

TEST_F(OneSidedTest, AKeyThatIsNoneIsARemoteAccessError) {
  with_stage([](Stage& stage) {
    Window wrong = stage.at(0);
    wrong.key ^= 0x77;
    EXPECT_EQ(stage.write(8, wrong), IBV_WC_REM_ACCESS_ERR);
    EXPECT_EQ(stage.pairs.left.state(), IBV_QPS_ERR);
    EXPECT_EQ(stage.there.data()[0], 0);
  });
}

TEST_F(OneSidedTest, AReadWithAKeyThatIsNoneIsARemoteAccessError) {
  with_stage([](Stage& stage) {
    Window wrong = stage.at(0);
    wrong.key ^= 0x77;
    EXPECT_EQ(stage.read(8, wrong), IBV_WC_REM_ACCESS_ERR);
  });
}

TEST_F(OneSidedTest, BeyondTheEndIsARemoteAccessErrorAndWritesNothing) {
  with_stage([](Stage& stage) {
    stage.mine.fill(1, 0, 64);
    EXPECT_EQ(stage.write(64, stage.at((1 << 20) - 63)), IBV_WC_REM_ACCESS_ERR);
    EXPECT_EQ(stage.there.data()[(1 << 20) - 63], 0);
  });
}

TEST_F(OneSidedTest, BeforeTheBeginningIsARemoteAccessError) {
  with_stage([](Stage& stage) {
    Window before = stage.at(0);
    before.address -= 1;
    EXPECT_EQ(stage.read(8, before), IBV_WC_REM_ACCESS_ERR);
  });
}

TEST_F(OneSidedTest, AnAddressThatWrapsAroundIsARemoteAccessError) {
  with_stage([](Stage& stage) {
    Window high = stage.at(0);
    high.address = UINT64_MAX - 3;
    EXPECT_EQ(stage.write(64, high), IBV_WC_REM_ACCESS_ERR);
  });
}

TEST_F(OneSidedTest, ARegionThatMayOnlyBeReadIsNotWritten) {
  with_stage([](Stage& stage) { EXPECT_EQ(stage.write(8, stage.at(0)), IBV_WC_REM_ACCESS_ERR); },
             {}, kLocal | kRead);
}

TEST_F(OneSidedTest, ARegionThatMayOnlyBeWrittenIsNotRead) {
  with_stage([](Stage& stage) { EXPECT_EQ(stage.read(8, stage.at(0)), IBV_WC_REM_ACCESS_ERR); }, {},
             kLocal | kWrite);
}

TEST_F(OneSidedTest, AQueuePairThatForbidsItAnswersNo) {
  with_stage([](Stage& stage) { EXPECT_EQ(stage.write(8, stage.at(0)), IBV_WC_REM_ACCESS_ERR); },
             {.access = static_cast<unsigned>(kLocal | kRead)});
}

TEST_F(OneSidedTest, ADeregisteredKeyIsARemoteAccessError) {
  with_stage([](Stage& stage) {
    Window gone{};
    {
      Buffer shortly(stage.here, 4096, Buffer::kAllAccess);
      gone = shortly.window();
      EXPECT_EQ(stage.write(8, gone), IBV_WC_SUCCESS);
    }
    EXPECT_EQ(stage.write(8, gone), IBV_WC_REM_ACCESS_ERR);
  });
}

TEST_F(OneSidedTest, ARegionOfAnotherProtectionDomainIsARemoteAccessError) {
  with_stage([](Stage& stage) {
    ibv_pd* other = ibv_alloc_pd(stage.here.context);
    ASSERT_NE(other, nullptr);
    std::vector<uint8_t> memory(4096);
    ibv_mr* region = ibv_reg_mr(other, memory.data(), memory.size(), kLocal | kWrite | kRead);
    ASSERT_NE(region, nullptr);
    EXPECT_EQ(stage.write(8, {reinterpret_cast<uint64_t>(memory.data()), region->rkey}),
              IBV_WC_REM_ACCESS_ERR);
    EXPECT_EQ(ibv_dereg_mr(region), 0);
    EXPECT_EQ(ibv_dealloc_pd(other), 0);
  });
}

TEST_F(OneSidedTest, AReadIntoMemoryThatMayNotBeWrittenIsALocalError) {
  with_stage([](Stage& stage) {
    Buffer readonly(stage.here, 4096, 0);
    ASSERT_EQ(stage.pairs.left.send({readonly.piece(0, 8)},
                                    {.opcode = IBV_WR_RDMA_READ, .to = stage.at(0)}),
              0);
    EXPECT_EQ(stage.pairs.left_queue.next().status, IBV_WC_LOC_PROT_ERR);
  });
}

TEST_F(OneSidedTest, RemoteWriteNeedsLocalWrite) {
  cluster("connectx");
  program([&] {
    Program here;
    std::vector<uint8_t> memory(4096);
    errno = 0;
    EXPECT_EQ(ibv_reg_mr(here.domain, memory.data(), memory.size(), kWrite), nullptr);
    EXPECT_EQ(errno, EINVAL);
  });
}

TEST_F(OneSidedTest, AZeroLengthReadNeedsNoKey) {
  with_stage([](Stage& stage) { EXPECT_EQ(stage.read(0, {}), IBV_WC_SUCCESS); });
}

// -------------------------------------------------------------------------------------------------
// Unreliable connections write and never read, and say nothing of what did not arrive.

TEST_F(OneSidedTest, AnUnreliableConnectionWrites) {
  with_stage(
      [](Stage& stage) {
        stage.mine.fill(3, 0, 100);
        EXPECT_EQ(stage.write(100, stage.at(0)), IBV_WC_SUCCESS);
        for (int i = 0; i < 1000 && stage.there.data()[99] != stage.mine.data()[99]; ++i) {
          usleep(1000);
        }
        EXPECT_TRUE(stage.there.holds(3, 0, 100));
      },
      {.type = IBV_QPT_UC});
}

TEST_F(OneSidedTest, AnUnreliableConnectionDoesNotRead) {
  with_stage(
      [](Stage& stage) {
        EXPECT_EQ(stage.pairs.left.send({stage.mine.piece(0, 8)},
                                        {.opcode = IBV_WR_RDMA_READ, .to = stage.at(0)}),
                  EINVAL);
      },
      {.type = IBV_QPT_UC});
}

TEST_F(OneSidedTest, AnUnreliableWriteWithAWrongKeyIsLostInSilence) {
  with_stage(
      [](Stage& stage) {
        Window wrong = stage.at(0);
        wrong.key ^= 0x77;
        EXPECT_EQ(stage.write(8, wrong), IBV_WC_SUCCESS);
        EXPECT_EQ(stage.pairs.left.state(), IBV_QPS_RTS);
      },
      {.type = IBV_QPT_UC});
}

// -------------------------------------------------------------------------------------------------
// Between processes.

TEST_F(OneSidedTest, ATargetThatCallsNoVerbsIsWrittenAndRead) {
  cluster("connectx", 2);
  constexpr size_t kBytes = (1 << 20) + 3;
  auto target = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue);
    Buffer memory(here, 2 << 20, Buffer::kAllAccess);
    memory.fill(1, 0, kBytes);
    pair.connect(meeting().exchange(1, pair.address()));
    meeting().tell(2, memory.window());
    meeting().wait(3);
    EXPECT_TRUE(memory.holds(2, 0, kBytes));
  };
  auto initiator = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue);
    Buffer memory(here, 2 << 20);
    pair.connect(meeting().exchange(0, pair.address()));
    auto window = meeting().hear<Window>(2);
    ASSERT_EQ(pair.send({memory.piece(0, kBytes)}, {.opcode = IBV_WR_RDMA_READ, .to = window}), 0);
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(memory.holds(1, 0, kBytes));
    memory.fill(2, 0, kBytes);
    ASSERT_EQ(pair.send({memory.piece(0, kBytes)}, {.opcode = IBV_WR_RDMA_WRITE, .to = window}), 0);
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
    meeting().signal(3);
  };
  together({initiator, target});
}

TEST_F(OneSidedTest, ATargetMayWatchItsMemoryForAWrite) {
  cluster("connectx", 2);
  auto target = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue);
    Buffer memory(here, 4096, Buffer::kAllAccess);
    pair.connect(meeting().exchange(1, pair.address()));
    meeting().tell(2, memory.window());
    volatile uint8_t* last = memory.data() + 1023;
    auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (*last == 0) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      sched_yield();
    }
    for (int i = 0; i < 1024; ++i) ASSERT_EQ(memory.data()[i], 0xab) << i;
    meeting().signal(3);
  };
  auto initiator = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue);
    Buffer memory(here, 4096);
    memset(memory.data(), 0xab, 1024);
    pair.connect(meeting().exchange(0, pair.address()));
    auto window = meeting().hear<Window>(2);
    ASSERT_EQ(pair.send({memory.piece(0, 1024)}, {.opcode = IBV_WR_RDMA_WRITE, .to = window}), 0);
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
    meeting().wait(3);
  };
  together({initiator, target});
}

}  // namespace
}  // namespace railyard::test
