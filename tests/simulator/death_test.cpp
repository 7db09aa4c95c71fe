// Ranks die at any instruction. The others go on, and nothing stays behind.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <random>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class DeathTest : public VerbsTest {
 protected:
  void TearDown() override {
    std::string name = fabric().name();
    VerbsTest::TearDown();
#ifdef __linux__
    EXPECT_FALSE(std::filesystem::exists("/dev/shm" + name));
#endif
  }

  static bool killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }
};

// A rank that opens, connects, sends, receives, closes, and begins again, until it is killed.
[[noreturn]] void churn() {
  for (uint64_t round = 0;; ++round) {
    Program here;
    LocalPair pairs(here, {.type = round % 2 ? IBV_QPT_UC : IBV_QPT_RC});
    Buffer from(here, 256 * 1024), to(here, 256 * 1024, Buffer::kAllAccess);
    for (size_t bytes : {8, 4096, 256 * 1024}) {
      pairs.right.receive({to.piece(0, bytes)});
      pairs.left.send({from.piece(0, bytes)});
      pairs.left.send({from.piece(0, bytes)}, {.opcode = IBV_WR_RDMA_WRITE, .to = to.window()});
      if (pairs.right_queue.next().status != IBV_WC_SUCCESS) _exit(1);
      pairs.left_queue.next(2);
    }
  }
}

// Sends to itself and checks what arrives until place `enough` of the meeting is told; says at
// place `begun` that it has begun.
void talk(Meeting& meeting, int begun, int enough) {
  Program here;
  LocalPair pairs(here);
  Buffer from(here, 4096), to(here, 4096);
  meeting.signal(begun);
  for (uint64_t seed = 0; seed < 100 || !meeting.told(enough); ++seed) {
    from.fill(seed, 0, 512);
    ASSERT_EQ(pairs.right.receive({to.piece(0, 512)}), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 512)}), 0);
    ASSERT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS) << "message " << seed;
    ASSERT_TRUE(to.holds(seed, 0, 512));
    ASSERT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
  }
}

TEST_F(DeathTest, OthersOfItsDeviceGoOnWhereverARankIsKilled) {
  cluster("permissive");
  pid_t survivor = start(0, [&] { talk(meeting(), 0, 1); });
  meeting().wait(0);
  std::mt19937 random(20261121);
  for (int i = 0; i < 40; ++i) {
    pid_t victim = start(0, churn);
    usleep(static_cast<useconds_t>(random() % 30'000));
    kill(victim, SIGKILL);
    EXPECT_TRUE(killed(finish(victim))) << "kill " << i;
  }
  meeting().signal(1);
  EXPECT_EQ(finish(survivor), 0);
  fabric::Snapshot seen = fabric().snapshot();
  EXPECT_TRUE(seen.queue_pairs.empty());
  EXPECT_TRUE(seen.contexts.empty());
  EXPECT_TRUE(seen.completion_queues.empty());
}

TEST_F(DeathTest, ADevicesLimitsAreFreeAgain) {
  cluster("apple-thunderbolt5", 2);
  std::mt19937 random(7);
  for (int i = 0; i < 30; ++i) {
    pid_t victim = start(0, [] {
      for (;;) {
        Program here;
        Queue queue(here);
        Pair a(here, queue, {.type = IBV_QPT_UC, .access = 1}),
            b(here, queue, {.type = IBV_QPT_UC, .access = 1});
        Buffer buffer(here, 65536);
      }
    });
    usleep(static_cast<useconds_t>(random() % 15'000));
    kill(victim, SIGKILL);
    finish(victim);
  }
  program([] {
    Program here;
    Queue queue(here);
    std::vector<std::unique_ptr<Pair>> pairs;
    for (int i = 0; i < 10; ++i) {
      pairs.push_back(
          std::make_unique<Pair>(here, queue, PairOptions{.type = IBV_QPT_UC, .access = 1}));
    }
  });
}

TEST_F(DeathTest, AReliablePeerLearnsOfIt) {
  cluster("connectx", 2);
  pid_t survivor = start(0, [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.timeout = 8, .retries = 1});
    Buffer buffer(here, 4096);
    pair.connect(meeting().exchange(0, pair.address()));
    meeting().signal(3);
    meeting().wait(4);
    ASSERT_EQ(pair.send({buffer.piece(0, 8)}), 0);
    EXPECT_EQ(queue.next().status, IBV_WC_RETRY_EXC_ERR);
    EXPECT_EQ(pair.state(), IBV_QPS_ERR);
  });
  pid_t victim = start(1, [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue);
    pair.connect(meeting().exchange(1, pair.address()));
    pause();
  });
  meeting().wait(3);
  kill(victim, SIGKILL);
  EXPECT_TRUE(killed(finish(victim)));
  meeting().signal(4);
  EXPECT_EQ(finish(survivor), 0);
}

TEST_F(DeathTest, AReliableSendOnItsWayFailsWhenThePeerDies) {
  cluster("connectx", 2);
  pid_t survivor = start(0, [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.timeout = 8, .retries = 1});
    Buffer buffer(here, 4096);
    pair.connect(meeting().exchange(0, pair.address()));
    ASSERT_EQ(pair.send({buffer.piece(0, 8)}), 0);  // no receive: it waits, with retries for ever
    EXPECT_TRUE(queue.quiet(Milliseconds(20)));
    meeting().signal(3);
    EXPECT_EQ(queue.next().status, IBV_WC_RETRY_EXC_ERR);
  });
  pid_t victim = start(1, [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue);
    pair.connect(meeting().exchange(1, pair.address()));
    pause();
  });
  meeting().wait(3);
  kill(victim, SIGKILL);
  EXPECT_TRUE(killed(finish(victim)));
  EXPECT_EQ(finish(survivor), 0);
}

// The receiver looks when the sender is about to give its queue pair back, having sent something
// that nothing tells it the end of: unsignaled, and looked for already; or followed by what cannot
// leave before the receiver looks.
class DepartingSenderTest : public DeathTest, public testing::WithParamInterface<bool> {};

TEST_P(DepartingSenderTest, WhatHasLeftItArrives) {
  bool followed = GetParam();
  cluster("connectx", 2);
  pid_t receiver = start(0, [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UC});
    Buffer buffer(here, 1 << 20);
    pair.connect(meeting().exchange(0, pair.address()));
    for (int i = 0; i < 3; ++i) ASSERT_EQ(pair.receive({buffer.all()}), 0);
    meeting().signal(3);
    EXPECT_EQ(queue.next().byte_len, 16u);
    meeting().signal(5);
    meeting().wait(4);
    usleep(20'000);
    ibv_wc first = queue.next();
    EXPECT_EQ(first.status, IBV_WC_SUCCESS);
    EXPECT_EQ(first.byte_len, 8u);
  });
  pid_t sender = start(1, [&, followed] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UC, .signal_all = false});
    Buffer buffer(here, 1 << 20);
    pair.connect(meeting().exchange(1, pair.address()));
    meeting().wait(3);
    ASSERT_EQ(pair.send({buffer.piece(0, 16)}), 0);
    meeting().wait(5);
    ASSERT_EQ(pair.send({buffer.piece(0, 8)}), 0);
    ibv_wc none;
    EXPECT_EQ(ibv_poll_cq(queue.get(), 1, &none), 0);
    if (followed) {
      ASSERT_EQ(pair.send({buffer.all()}), 0);
    }
    meeting().signal(4);
  });
  EXPECT_EQ(finish(sender), 0);
  EXPECT_EQ(finish(receiver), 0);
}

INSTANTIATE_TEST_SUITE_P(Of, DepartingSenderTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "Followed" : "Unsignaled"; });

// What has left a device is on its way, whatever becomes of the sender: a completed send arrives
// where a receive was waiting for it, although the receiver looks only when the sender has gone.
class DepartedSenderTest : public DeathTest,
                           public testing::WithParamInterface<std::tuple<size_t, bool>> {};

TEST_P(DepartedSenderTest, ItsCompletedSendsArrive) {
  auto [bytes, dies] = GetParam();
  cluster("connectx", 2);
  constexpr int kMessages = 3;
  pid_t receiver = start(0, [&, bytes = bytes] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UC});
    Buffer buffer(here, kMessages * bytes);
    pair.connect(meeting().exchange(0, pair.address()));
    for (int i = 0; i < kMessages; ++i) {
      ASSERT_EQ(pair.receive({buffer.piece(i * bytes, bytes)}), 0);
    }
    meeting().signal(3);
    meeting().wait(4);
    for (int i = 0; i < kMessages; ++i) {
      EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
      EXPECT_TRUE(buffer.holds(i, i * bytes, bytes));
    }
  });
  pid_t sender = start(1, [&, bytes = bytes, dies = dies] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UC});
    Buffer buffer(here, kMessages * bytes);
    pair.connect(meeting().exchange(1, pair.address()));
    meeting().wait(3);
    for (int i = 0; i < kMessages; ++i) {
      buffer.fill(i, i * bytes, bytes);
      ASSERT_EQ(pair.send({buffer.piece(i * bytes, bytes)}), 0);
    }
    for (int i = 0; i < kMessages; ++i) EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
    if (dies) raise(SIGKILL);
  });
  int ended = finish(sender);
  if (dies) {
    EXPECT_TRUE(killed(ended));
  } else {
    EXPECT_EQ(ended, 0);
  }
  meeting().signal(4);
  EXPECT_EQ(finish(receiver), 0);
}

INSTANTIATE_TEST_SUITE_P(Sizes, DepartedSenderTest,
                         testing::Combine(testing::Values(8, 4096, 256 * 1024), testing::Bool()),
                         [](const auto& test) {
                           return std::to_string(std::get<0>(test.param)) +
                                  (std::get<1>(test.param) ? "BytesKilled" : "BytesEnded");
                         });

// A large message stays in its sender's memory until the target has copied it. Nobody has waited
// for the dead target yet, so the system still has its number.
TEST_F(DeathTest, LargeUnreliableSendsToOneThatNobodyHasWaitedForEnd) {
  cluster("connectx", 2);
  constexpr size_t kBytes = 1 << 20;
  pid_t survivor = start(0, [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UC});
    Buffer buffer(here, kBytes);
    pair.connect(meeting().exchange(0, pair.address()));
    meeting().wait(2);
    ASSERT_EQ(pair.send({buffer.all()}), 0);
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
    meeting().signal(3);
    meeting().wait(4);
    for (uint64_t i = 0; i < 8; ++i) ASSERT_EQ(pair.send({buffer.all()}, {.id = i}), 0);
    for (uint64_t i = 0; i < 8; ++i) EXPECT_EQ(queue.next().wr_id, i);
    EXPECT_EQ(pair.state(), IBV_QPS_RTS) << "an unreliable sender is not told";
  });
  pid_t victim = start(1, [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UC});
    Buffer buffer(here, kBytes);
    pair.connect(meeting().exchange(1, pair.address()));
    ASSERT_EQ(pair.receive({buffer.all()}), 0);
    meeting().signal(2);
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
    pause();
  });
  meeting().wait(3);
  kill(victim, SIGKILL);
  siginfo_t end{};
  waitid(P_PID, static_cast<id_t>(victim), &end, WEXITED | WNOWAIT);
  meeting().signal(4);
  EXPECT_EQ(finish(survivor), 0);
  EXPECT_TRUE(killed(finish(victim)));
}

// Both directions, small and large, sends and writes: wherever the peer is killed, the survivor
// gets a completion for each of its requests and meets the next peer.
TEST_F(DeathTest, APeerMayBeKilledInTheMiddleOfATransfer) {
  cluster("connectx", 2);
  constexpr int kLives = 25;
  constexpr size_t kBytes = 512 * 1024;
  auto address_place = [](int life, int me) { return 4 * life + me; };
  auto ready_place = [](int life, int me) { return 4 * life + 2 + me; };
  auto transfer = [&](int life, int me, bool until_killed) {
    Program here;
    Queue sends(here), receives(here);
    Pair pair(here, sends, receives, {.sends = 4, .receives = 16, .timeout = 8, .retries = 1});
    Buffer buffer(here, 2 * kBytes, Buffer::kAllAccess);
    ASSERT_EQ(pair.to_init(), 0);
    for (int i = 0; i < 16; ++i) ASSERT_EQ(pair.receive({buffer.piece(kBytes, kBytes)}), 0);
    struct Hello {
      Address address;
      Window window;
    };
    meeting().tell(address_place(life, me), Hello{pair.address(), buffer.window()});
    auto peer = meeting().hear<Hello>(address_place(life, 1 - me));
    ASSERT_EQ(pair.to_rtr(peer.address), 0);
    ASSERT_EQ(pair.to_rts(), 0);
    // Neither may run into a time-out because the other's turn on the processor comes late.
    meeting().signal(ready_place(life, me));
    meeting().wait(ready_place(life, 1 - me));
    const size_t sizes[] = {8, 4096, 100'000, kBytes};
    uint64_t posted = 0;
    for (bool broken = false; !broken;) {
      size_t bytes = sizes[posted % 4];
      Request request{.id = posted++};
      if (posted % 2) {
        request.opcode = IBV_WR_RDMA_WRITE;
        request.to = peer.window;
      }
      ASSERT_EQ(pair.send({buffer.piece(0, bytes)}, request), 0);
      ibv_wc sent = sends.next();
      ASSERT_NE(sent.status, IBV_WC_GENERAL_ERR) << "request " << request.id << " of life " << life;
      broken = sent.status != IBV_WC_SUCCESS;
      ibv_wc received;
      while (!broken && ibv_poll_cq(receives.get(), 1, &received) == 1) {
        if (received.status != IBV_WC_SUCCESS) break;
        ASSERT_EQ(pair.receive({buffer.piece(kBytes, kBytes)}), 0);
      }
    }
    EXPECT_FALSE(until_killed) << "the survivor is alive";
  };
  pid_t survivor = start(0, [&] {
    for (int life = 0; life < kLives; ++life) transfer(life, 0, false);
  });
  std::mt19937 random(42);
  for (int life = 0; life < kLives; ++life) {
    pid_t victim = start(1, [&, life] { transfer(life, 1, true); });
    for (int each : {0, 1}) meeting().wait(ready_place(life, each));
    usleep(static_cast<useconds_t>(random() % 10'000));
    kill(victim, SIGKILL);
    EXPECT_TRUE(killed(finish(victim))) << "life " << life;
  }
  EXPECT_EQ(finish(survivor), 0);
}

TEST_F(DeathTest, AnotherTakesItsPlace) {
  cluster("connectx", 2);
  pid_t survivor = start(0, [&] {
    Program here;
    for (int life = 0; life < 2; ++life) {
      SCOPED_TRACE(life);
      Queue queue(here);
      Pair pair(here, queue);
      Buffer buffer(here, 4096);
      ASSERT_EQ(pair.to_init(), 0);
      ASSERT_EQ(pair.receive({buffer.piece(0, 8)}), 0);
      meeting().tell(life, pair.address());
      ASSERT_EQ(pair.to_rtr(meeting().hear<Address>(2 + life)), 0);
      ASSERT_EQ(pair.to_rts(), 0);
      EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
      meeting().signal(4 + life);
    }
  });
  for (int life = 0; life < 2; ++life) {
    pid_t peer = start(1, [&, life] {
      Program here;
      Queue queue(here);
      Pair pair(here, queue);
      Buffer buffer(here, 4096);
      meeting().tell(2 + life, pair.address());
      pair.connect(meeting().hear<Address>(life));
      ASSERT_EQ(pair.send({buffer.piece(0, 8)}), 0);
      ASSERT_EQ(queue.next().status, IBV_WC_SUCCESS);
      pause();
    });
    meeting().wait(4 + life);
    kill(peer, SIGKILL);
    finish(peer);
  }
  EXPECT_EQ(finish(survivor), 0);
}

TEST_F(DeathTest, AStoppedRankHarmsNobodyAndGoesOn) {
  cluster("permissive");
  pid_t stopped = start(0, [&] { talk(meeting(), 0, 2); });
  meeting().wait(0);
  kill(stopped, SIGSTOP);
  pid_t other = start(0, [&] { talk(meeting(), 1, 2); });
  usleep(100'000);
  meeting().signal(2);
  EXPECT_EQ(finish(other), 0);
  kill(stopped, SIGCONT);
  EXPECT_EQ(finish(stopped), 0);
}

TEST_F(DeathTest, TheFabricTellsWhoIsDead) {
  cluster("permissive");
  pid_t victim = start(0, [&] {
    Program here;
    LocalPair pairs(here);
    meeting().signal(0);
    pause();
  });
  meeting().wait(0);
  EXPECT_EQ(fabric().snapshot().queue_pairs.size(), 2u);
  kill(victim, SIGKILL);
  waitpid(victim, nullptr, 0);
  fabric().reap(victim);
  fabric::Snapshot seen = fabric().snapshot();
  ASSERT_EQ(seen.processes.size(), 1u);
  EXPECT_EQ(seen.processes[0].pid, victim);
  EXPECT_FALSE(seen.processes[0].alive);
  EXPECT_EQ(seen.processes[0].activity, fabric::Activity::exited);
  EXPECT_TRUE(seen.queue_pairs.empty());
}

TEST_F(DeathTest, RanksSurviveTheirFabricsOwner) {
  cluster("permissive");
  // The owner of this one is killed; the rank attached to it goes on to its end.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  pid_t owner = fork();
  if (owner == 0) {
    auto own = fabric::Fabric::create(fabric::default_cluster("permissive", 1));
    (void)!write(ends[1], own.name().c_str(), own.name().size() + 1);
    pause();
    _exit(0);
  }
  char name[64] = {};
  ASSERT_GT(read(ends[0], name, sizeof name), 0);
  pid_t rank = start(0, [&] {
    setenv("RAILYARD_FABRIC", name, 1);
    talk(meeting(), 0, 1);
  });
  meeting().wait(0);
  kill(owner, SIGKILL);
  waitpid(owner, nullptr, 0);
  EXPECT_EQ(fabric::sweep(), 1);
  usleep(20'000);
  meeting().signal(1);
  EXPECT_EQ(finish(rank), 0);
}

}  // namespace
}  // namespace railyard::test
