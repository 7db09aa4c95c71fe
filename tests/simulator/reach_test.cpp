// One-sided operations that their initiator carries out in its target's memory by itself: what is
// the same as when the target does, and that what a target takes back is out of reach.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "verbs_test.h"

namespace railyard::test {
namespace {

// Where the programs meet.
enum Place {
  kTargetAddress = 0,
  kInitiatorAddress,
  kWindow,
  kPid,
  kReady,
  kGo,
  kDone,
  kEnd,
  kMore
};

// What the helper thread may have put there, as Buffer::holds() sees it.
__attribute__((no_sanitize("thread"))) uint64_t word_at(const Buffer& buffer, size_t offset = 0) {
  return *reinterpret_cast<const volatile uint64_t*>(buffer.data() + offset);
}

class ReachTest : public VerbsTest {
 protected:
  void SetUp() override {
#ifndef __linux__
    GTEST_SKIP() << "this system copies nothing between processes";
#endif
    setenv("RAILYARD_ONE_SIDED", "initiator", 1);
  }
  void TearDown() override {
    unsetenv("RAILYARD_ONE_SIDED");
    if (started_) VerbsTest::TearDown();
  }

  // One side of a connection.
  struct Side {
    Program here;
    Queue queue{here};
    Pair pair;
    Buffer buffer{here, 1 << 20, Buffer::kAllAccess};
    Address peer;
    Side(Meeting& meeting, int me, const PairOptions& options)
        : pair(here, queue, options), peer(meeting.exchange(me, pair.address())) {
      pair.connect(peer);
    }

    ibv_wc_status write(size_t bytes, Window to) {
      EXPECT_EQ(pair.send({buffer.piece(0, bytes)}, {.opcode = IBV_WR_RDMA_WRITE, .to = to}), 0);
      return queue.next().status;
    }
    ibv_wc_status read(size_t bytes, Window from) {
      EXPECT_EQ(pair.send({buffer.piece(0, bytes)}, {.opcode = IBV_WR_RDMA_READ, .to = from}), 0);
      return queue.next().status;
    }
  };

  // Two programs that are connected. The target's first message has come when `initiator` begins:
  // that one always goes through its process.
  void connected(const std::function<void(Side&)>& target,
                 const std::function<void(Side&, Window)>& initiator, PairOptions options = {},
                 PairOptions targets = {}) {
    started_ = true;
    cluster("connectx", 2);
    targets.type = options.type;
    pid_t there = start(0, [=, this] {
      Side side(meeting(), kTargetAddress, targets);
      meeting().tell(kPid, getpid());
      meeting().tell(kWindow, side.buffer.window());
      meeting().wait(kReady);
      target(side);
      meeting().wait(kEnd);
    });
    pid_t here = start(1, [=, this] {
      Side side(meeting(), kInitiatorAddress, options);
      auto window = meeting().hear<Window>(kWindow);
      EXPECT_EQ(side.write(0, window), IBV_WC_SUCCESS);
      meeting().signal(kReady);
      initiator(side, window);
      meeting().signal(kEnd);
    });
    EXPECT_EQ(finish(here), 0);
    EXPECT_EQ(finish(there), 0);
  }

  // Of the queue pair on that node.
  uint64_t reached_in(int node) const {
    fabric::Snapshot seen = const_cast<ReachTest*>(this)->fabric().snapshot();
    for (const fabric::QueuePairView& pair : seen.queue_pairs) {
      if (seen.processes[static_cast<size_t>(pair.process)].node == node) return pair.reached_in;
    }
    return 0;
  }

  bool started_ = false;
};

void stop_process(pid_t pid) {
  kill(pid, SIGSTOP);
  std::string state;
  while (state.find(") T") == std::string::npos) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::getline(file, state);
  }
}

// As programs do that spin on memory: how long they waited shows when they post again.
TEST_F(ReachTest, AnInitiatorThatDoesNotPollLosesPatienceToo) {
  unsetenv("RAILYARD_ONE_SIDED");
  connected([](Side&) {},
            [this](Side& side, Window window) {
              auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
              while (reached_in(0) == 0 && std::chrono::steady_clock::now() < end) {
                constexpr int kUnread = 16;
                for (int i = 0; i < kUnread; ++i) {
                  ASSERT_EQ(side.pair.send({side.buffer.piece(0, 64)},
                                           {.opcode = IBV_WR_RDMA_WRITE, .to = window}),
                            0);
                  usleep(1000);
                }
                for (int i = 0; i < kUnread; ++i) {
                  EXPECT_EQ(side.queue.next().status, IBV_WC_SUCCESS);
                }
              }
              EXPECT_GT(reached_in(0), 0u);
            });
}

TEST_F(ReachTest, ATargetNeedNotRun) {
  connected(
      [this](Side& side) {
        meeting().wait(kDone);
        EXPECT_TRUE(side.buffer.holds(3, 17, 1000));
        EXPECT_TRUE(side.buffer.holds(4, 100'000, 60'000));
        EXPECT_EQ(side.buffer.data()[16], 0);
        EXPECT_EQ(side.buffer.data()[1017], 0);
      },
      [this](Side& side, Window window) {
        stop_process(meeting().hear<pid_t>(kPid));
        auto at = [&](uint64_t offset) { return Window{window.address + offset, window.key}; };
        side.buffer.fill(3, 0, 1000);
        EXPECT_EQ(side.write(1000, at(17)), IBV_WC_SUCCESS);
        side.buffer.fill(4, 0, 60'000);
        EXPECT_EQ(side.write(60'000, at(100'000)), IBV_WC_SUCCESS);
        side.buffer.fill(0, 0, 60'000);
        EXPECT_EQ(side.read(1000, at(17)), IBV_WC_SUCCESS);
        EXPECT_TRUE(side.buffer.holds(3, 0, 1000));
        EXPECT_EQ(side.read(60'000, at(100'000)), IBV_WC_SUCCESS);
        EXPECT_TRUE(side.buffer.holds(4, 0, 60'000));
        EXPECT_EQ(reached_in(0), 4u);
        EXPECT_EQ(fabric().snapshot().ports[0].messages_in, 5u);
        kill(meeting().hear<pid_t>(kPid), SIGCONT);
        meeting().signal(kDone);
      });
}

// -------------------------------------------------------------------------------------------------
// Order.

TEST_F(ReachTest, AWriteDoesNotOvertakeASend) {
  connected(
      [this](Side& side) {
        usleep(20'000);
        EXPECT_NE(word_at(side.buffer), 9u);
        ASSERT_EQ(side.pair.receive({side.buffer.piece(4096, 8)}), 0);
        EXPECT_EQ(side.queue.next().status, IBV_WC_SUCCESS);
        meeting().wait(kDone);
        EXPECT_EQ(word_at(side.buffer), 9u);
      },
      [this](Side& side, Window window) {
        side.buffer.data()[0] = 9;
        ASSERT_EQ(side.pair.send({side.buffer.piece(0, 8)}, {.id = 1}), 0);
        ASSERT_EQ(side.pair.send({side.buffer.piece(0, 8)},
                                 {.id = 2, .opcode = IBV_WR_RDMA_WRITE, .to = window}),
                  0);
        std::vector<ibv_wc> done = side.queue.next(2);
        EXPECT_EQ(done[0].wr_id, 1u);
        EXPECT_EQ(done[1].wr_id, 2u);
        EXPECT_EQ(reached_in(0), 0u);
        meeting().signal(kDone);
      });
}

TEST_F(ReachTest, ASendFindsTheWritesBeforeItDone) {
  static constexpr uint64_t kRounds = 500;
  connected(
      [](Side& side) {
        auto* written = reinterpret_cast<volatile uint64_t*>(side.buffer.data());
        ASSERT_EQ(side.pair.receive({side.buffer.piece(4096, 8)}), 0);
        for (uint64_t round = 1; round <= kRounds; ++round) {
          ASSERT_EQ(side.pair.receive({side.buffer.piece(4096, 8)}), 0);
          ASSERT_EQ(side.queue.next().status, IBV_WC_SUCCESS);
          ASSERT_GE(*written, round);
        }
      },
      [this](Side& side, Window window) {
        auto* word = reinterpret_cast<uint64_t*>(side.buffer.data());
        for (uint64_t round = 1; round <= kRounds; ++round) {
          *word = round;
          ASSERT_EQ(side.pair.send({side.buffer.piece(0, 8)},
                                   {.opcode = IBV_WR_RDMA_WRITE, .to = window}),
                    0);
          ASSERT_EQ(side.pair.send({side.buffer.piece(0, 8)}), 0);
          ASSERT_EQ(side.queue.next().opcode, IBV_WC_RDMA_WRITE);
          ASSERT_EQ(side.queue.next().opcode, IBV_WC_SEND);
        }
        EXPECT_GT(reached_in(0), kRounds / 2);  // but those that met pages on the move
      });
}

TEST_F(ReachTest, WhoWatchesTheEndOfAWriteSeesAllOfIt) {
  static constexpr uint64_t kRounds = 200;
  static constexpr size_t kSizes[] = {8, 64, 1000, 4096, 40'000};
  connected(
      [this](Side& side) {
        auto* words = reinterpret_cast<uint64_t*>(side.buffer.data());
        for (size_t bytes : kSizes) {
          size_t count = bytes / sizeof(uint64_t);
          std::atomic_ref end(words[count - 1]);
          for (uint64_t round = 1; round <= kRounds; ++round) {
            while (end.load(std::memory_order_acquire) != bytes + round) sched_yield();
            auto whole = std::count(words, words + count, bytes + round);
            ASSERT_EQ(static_cast<size_t>(whole), count) << bytes << " bytes, round " << round;
            ASSERT_EQ(side.pair.send({side.buffer.piece(0, 0)}), 0);
            ASSERT_EQ(side.queue.next().status, IBV_WC_SUCCESS);
          }
        }
      },
      [this](Side& side, Window window) {
        auto* words = reinterpret_cast<uint64_t*>(side.buffer.data());
        for (size_t bytes : kSizes) {
          for (uint64_t round = 1; round <= kRounds; ++round) {
            ASSERT_EQ(side.pair.receive({}), 0);
            std::fill_n(words, bytes / sizeof(uint64_t), bytes + round);
            ASSERT_EQ(side.pair.send({side.buffer.piece(0, bytes)},
                                     {.opcode = IBV_WR_RDMA_WRITE, .to = window}),
                      0);
            for (const ibv_wc& done : side.queue.next(2)) ASSERT_EQ(done.status, IBV_WC_SUCCESS);
          }
        }
        EXPECT_GT(reached_in(0), kRounds * std::size(kSizes) / 2);
      });
}

// -------------------------------------------------------------------------------------------------
// What a target does not allow is judged by its process, as ever.

struct Refusal {
  const char* name;
  ibv_wr_opcode opcode;
  unsigned access;                      // of the target's queue pair
  std::function<Window(Window)> named;  // given what the target shows
};

class ReachRefusalTest : public ReachTest, public testing::WithParamInterface<Refusal> {};

constexpr unsigned kAll = Buffer::kAllAccess;
Window unknown_key(Window all) { return {all.address, all.key ^ 0x5500}; }
Window beyond(Window all) { return {all.address + (1 << 20) - 32, all.key}; }
Window before(Window all) { return {all.address - 1, all.key}; }
Window same(Window all) { return all; }

TEST_P(ReachRefusalTest, GivesTheStatusesOfTheSpecification) {
  const Refusal& refusal = GetParam();
  connected(
      [this](Side& side) {
        meeting().wait(kDone);
        EXPECT_EQ(side.pair.state(), IBV_QPS_ERR);
        ibv_async_event event;
        ASSERT_EQ(ibv_get_async_event(side.here.context, &event), 0);
        EXPECT_EQ(event.event_type, IBV_EVENT_QP_ACCESS_ERR);
        ibv_ack_async_event(&event);
        EXPECT_EQ(word_at(side.buffer), 0u);
      },
      [&, this](Side& side, Window window) {
        side.buffer.data()[0] = 9;
        ASSERT_EQ(side.pair.send({side.buffer.piece(0, 64)},
                                 {.opcode = refusal.opcode, .to = refusal.named(window)}),
                  0);
        EXPECT_EQ(side.queue.next().status, IBV_WC_REM_ACCESS_ERR);
        EXPECT_EQ(side.pair.state(), IBV_QPS_ERR);
        EXPECT_EQ(reached_in(0), 0u);
        meeting().signal(kDone);
      },
      {}, {.access = refusal.access});
}

INSTANTIATE_TEST_SUITE_P(
    All, ReachRefusalTest,
    testing::Values(Refusal{"WriteWithoutKey", IBV_WR_RDMA_WRITE, kAll, unknown_key},
                    Refusal{"ReadWithoutKey", IBV_WR_RDMA_READ, kAll, unknown_key},
                    Refusal{"WriteBeyondTheEnd", IBV_WR_RDMA_WRITE, kAll, beyond},
                    Refusal{"ReadBeyondTheEnd", IBV_WR_RDMA_READ, kAll, beyond},
                    Refusal{"WriteBeforeTheBeginning", IBV_WR_RDMA_WRITE, kAll, before},
                    Refusal{"ReadBeforeTheBeginning", IBV_WR_RDMA_READ, kAll, before},
                    Refusal{"WriteForbiddenByTheQueuePair", IBV_WR_RDMA_WRITE,
                            kAll & ~IBV_ACCESS_REMOTE_WRITE, same},
                    Refusal{"ReadForbiddenByTheQueuePair", IBV_WR_RDMA_READ,
                            kAll & ~IBV_ACCESS_REMOTE_READ, same}),
    [](const auto& refusal) { return refusal.param.name; });

// -------------------------------------------------------------------------------------------------
// What a target takes back is out of reach when the call returns.

// What both programs see of each other beside the fabric.
struct Shared {
  std::atomic<uint64_t> address{0};
  std::atomic<uint32_t> key{0};
  std::atomic<bool> enough{false};
};

class TakingBackTest : public ReachTest {
 protected:
  void SetUp() override {
    ReachTest::SetUp();
    void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared_ = new (memory) Shared;
  }
  void TearDown() override {
    if (shared_) munmap(shared_, 4096);
    ReachTest::TearDown();
  }

  static constexpr size_t kBytes = 48 * 1024;  // some microseconds long
  static constexpr int kRounds = 200;

  // The initiator writes all the time while the target shows memory, takes it back and looks
  // whether it changes. An unreliable connection: who writes to what is not there any more is not
  // told.
  void take_back(const std::function<uint32_t(Side&)>& show,
                 const std::function<void(Side&)>& hide) {
    connected(
        [&, this](Side& side) {
          std::mt19937 random(20261121);
          constexpr size_t kLast = kBytes - sizeof(uint64_t);
          shared_->address = side.buffer.window().address;
          for (int round = 0; round < kRounds; ++round) {
            shared_->key = show(side);
            for (uint64_t before = word_at(side.buffer, kLast);
                 word_at(side.buffer, kLast) == before;) {
              sched_yield();
            }
            usleep(static_cast<useconds_t>(random() % 50));
            hide(side);
            std::vector<uint8_t> seen(side.buffer.data(), side.buffer.data() + kBytes);
            for (int look = 0; look < 5; ++look) {
              usleep(50);
              ASSERT_EQ(memcmp(seen.data(), side.buffer.data(), kBytes), 0) << "round " << round;
            }
          }
          shared_->enough = true;
        },
        [this](Side& side, Window) {
          auto* words = reinterpret_cast<uint64_t*>(side.buffer.data());
          for (uint64_t number = 1; !shared_->enough; ++number) {
            std::fill_n(words, kBytes / sizeof(uint64_t), number);
            ASSERT_EQ(side.write(kBytes, {shared_->address, shared_->key}), IBV_WC_SUCCESS);
          }
          EXPECT_GE(reached_in(0), uint64_t{kRounds});
        },
        {.type = IBV_QPT_UC});
  }

  Shared* shared_ = nullptr;
};

TEST_F(TakingBackTest, ARegion) {
  ibv_mr* region = nullptr;
  take_back(
      [&](Side& side) {
        region = ibv_reg_mr(side.here.domain, side.buffer.data(), kBytes, Buffer::kAllAccess);
        return region->rkey;
      },
      [&](Side&) { ASSERT_EQ(ibv_dereg_mr(region), 0); });
}

TEST_F(TakingBackTest, ARegionsRight) {
  auto change = [](Side& side, int access) {
    ASSERT_EQ(
        ibv_rereg_mr(side.buffer.region(), IBV_REREG_MR_CHANGE_ACCESS, nullptr, nullptr, 0, access),
        0);
  };
  take_back(
      [=](Side& side) {
        change(side, Buffer::kAllAccess);
        return side.buffer.region()->rkey;
      },
      [=](Side& side) { change(side, IBV_ACCESS_LOCAL_WRITE); });
}

TEST_F(TakingBackTest, AQueuePairsRight) {
  auto change = [](Side& side, unsigned access) {
    ibv_qp_attr wanted{};
    wanted.qp_access_flags = access;
    ASSERT_EQ(ibv_modify_qp(side.pair.get(), &wanted, IBV_QP_ACCESS_FLAGS), 0);
  };
  take_back(
      [=](Side& side) {
        change(side, kAll);
        return side.buffer.region()->rkey;
      },
      [=](Side& side) { change(side, IBV_ACCESS_LOCAL_WRITE); });
}

TEST_F(TakingBackTest, AQueuePair) {
  take_back(
      [](Side& side) {
        if (side.pair.state() == IBV_QPS_RESET) side.pair.connect(side.peer);
        return side.buffer.region()->rkey;
      },
      [](Side& side) { ASSERT_EQ(side.pair.to(IBV_QPS_RESET), 0); });
}

TEST_F(TakingBackTest, AWindow) {
  ibv_mr* region = nullptr;
  ibv_mw* window = nullptr;
  auto bind = [&](Side& side, uint64_t bytes) {
    ibv_mw_bind request{};
    request.send_flags = IBV_SEND_SIGNALED;
    request.bind_info = {region, side.buffer.window().address, bytes, IBV_ACCESS_REMOTE_WRITE};
    ASSERT_EQ(ibv_bind_mw(side.pair.get(), window, &request), 0);
    ASSERT_EQ(side.queue.next().status, IBV_WC_SUCCESS);
  };
  take_back(
      [&](Side& side) {
        if (!window) {
          window = ibv_alloc_mw(side.here.domain, IBV_MW_TYPE_1);
          region = ibv_reg_mr(side.here.domain, side.buffer.data(), kBytes,
                              Buffer::kAllAccess | IBV_ACCESS_MW_BIND);
        }
        bind(side, kBytes);
        return window->rkey;
      },
      [&, hidden = 0](Side& side) mutable {
        bind(side, 0);
        if (++hidden < kRounds) return;
        ASSERT_EQ(ibv_dealloc_mw(window), 0);
        ASSERT_EQ(ibv_dereg_mr(region), 0);
      });
}

// -------------------------------------------------------------------------------------------------
// Cables, faults, deaths.

TEST_F(ReachTest, NothingPassesAnUnpluggedCable) {
  connected(
      [this](Side& side) {
        meeting().wait(kDone);
        EXPECT_EQ(word_at(side.buffer), 0u);
      },
      [this](Side& side, Window window) {
        EXPECT_EQ(side.write(8, window), IBV_WC_SUCCESS);
        EXPECT_EQ(reached_in(0), 1u);
        fabric().unplug(0);
        side.buffer.data()[0] = 9;
        EXPECT_EQ(side.write(8, window), IBV_WC_RETRY_EXC_ERR);
        meeting().signal(kDone);
      },
      {.timeout = 8, .retries = 1});
}

TEST_F(ReachTest, AnArmedFaultFires) {
  connected(
      [this](Side& side) {
        meeting().wait(kDone);
        EXPECT_EQ(word_at(side.buffer), 9u);
      },
      [this](Side& side, Window window) {
        EXPECT_EQ(side.write(8, window), IBV_WC_SUCCESS);
        EXPECT_EQ(reached_in(0), 1u);
        int fault = fabric().arm(fabric::MessageFault{.cable = 0});
        side.buffer.data()[0] = 9;
        EXPECT_EQ(side.write(8, window), IBV_WC_SUCCESS);
        EXPECT_EQ(fabric().snapshot().faults[0].fired, 1u);
        EXPECT_EQ(reached_in(0), 1u);
        fabric().disarm(fault);
        meeting().signal(kDone);
      },
      {.timeout = 8});
}

// Writes until it is killed, or its peer is.
void write_for_ever(Pair& pair, Queue& queue, Buffer& buffer, Window window) {
  while (pair.send({buffer.piece(0, 50'000)}, {.opcode = IBV_WR_RDMA_WRITE, .to = window}) == 0 &&
         queue.next().status == IBV_WC_SUCCESS) {
  }
}

TEST_F(ReachTest, AnInitiatorThatDiesLeavesItsTargetFree) {
  started_ = true;
  cluster("connectx", 2);
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    int places = 10 + 8 * round;
    auto body = [&, places](int me) {
      Program here;
      Queue queue(here);
      Pair pair(here, queue, {.type = IBV_QPT_UC});
      Buffer buffer(here, 1 << 16, Buffer::kAllAccess);
      meeting().tell(places + me, pair.address());
      pair.connect(meeting().hear<Address>(places + 1 - me));
      if (me == 1) {
        write_for_ever(pair, queue, buffer, meeting().hear<Window>(places + 2));
        return;
      }
      meeting().tell(places + 2, buffer.window());
      meeting().wait(places + 3);
    };
    pid_t target = start(0, [&] { body(0); }), initiator = start(1, [&] { body(1); });
    wait_until("writes", [&](const fabric::Snapshot&) { return reached_in(0) > 20; });
    usleep(static_cast<useconds_t>(random() % 3000));
    kill(initiator, SIGKILL);
    finish(initiator);
    meeting().signal(places + 3);
    EXPECT_EQ(finish(target), 0);
  }
}

TEST_F(ReachTest, ATargetThatDiesIsMissed) {
  started_ = true;
  cluster("connectx", 2);
  std::mt19937 random(6);
  for (int round = 0; round < 20; ++round) {
    int places = 10 + 8 * round;
    auto body = [&, places](int me) {
      Program here;
      Queue queue(here);
      Pair pair(here, queue, {.timeout = 8, .retries = 1});
      Buffer buffer(here, 1 << 16, Buffer::kAllAccess);
      meeting().tell(places + me, pair.address());
      pair.connect(meeting().hear<Address>(places + 1 - me));
      if (me == 0) {
        meeting().tell(places + 2, buffer.window());
        pause();
      }
      write_for_ever(pair, queue, buffer, meeting().hear<Window>(places + 2));
      EXPECT_EQ(pair.state(), IBV_QPS_ERR);
    };
    pid_t target = start(0, [&] { body(0); }), initiator = start(1, [&] { body(1); });
    wait_until("writes", [&](const fabric::Snapshot&) { return reached_in(0) > 20; });
    usleep(static_cast<useconds_t>(random() % 3000));
    kill(target, SIGKILL);
    finish(target);
    EXPECT_EQ(finish(initiator), 0);
  }
}

}  // namespace
}  // namespace railyard::test
