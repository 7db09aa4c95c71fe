// Registered memory whose pages the device lays into the fabric's segment: that it does, that
// messages are the same as ever, and that the program cannot tell.

#include <gtest/gtest.h>

#ifdef __linux__

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "platform/moved_pages.h"
#include "verbs_test.h"

namespace railyard::test {
namespace {

enum Place { kTarget = 0, kInitiator, kWindow, kReady, kEnd, kRound };

constexpr size_t kBytes = size_t{1} << 20, kPage = 4096;

// Private memory of two of those, which moves as a whole: no window of 4 MiB ends inside.
uint8_t* map_memory() {
  size_t room = 8 * kBytes;
  void* all = mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto window = (reinterpret_cast<uintptr_t>(all) + 4 * kBytes - 1) / (4 * kBytes) * (4 * kBytes);
  void* memory = mmap(reinterpret_cast<void*>(window), 2 * kBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  EXPECT_NE(memory, MAP_FAILED);
  return static_cast<uint8_t*>(memory);
}

// Whether the program has a part of the segment there.
bool shared_at(const void* address) {
  std::ifstream maps("/proc/self/maps");
  auto place = reinterpret_cast<unsigned long>(address);
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    if (sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2 && begin <= place && place < end)
      return line.find("/dev/shm/railyard.") != std::string::npos;
  }
  return false;
}

class SharedPagesTest : public VerbsTest {
 protected:
  void SetUp() override {
    if (!platform::pages_can_move())
      GTEST_SKIP() << "this system does not hold back writes for this user";
    setenv("RAILYARD_SHARED_PAGES", "always", 1);
  }
  void TearDown() override {
    unsetenv("RAILYARD_SHARED_PAGES");
    if (started_) VerbsTest::TearDown();
  }

  // One side of a connection.
  struct Side {
    Program here;
    Queue queue{here};
    Pair pair;
    Buffer buffer{here, map_memory(), 2 * kBytes, Buffer::kAllAccess};
    Side(Meeting& meeting, int me, ibv_qp_type type) : pair(here, queue, {.type = type}) {
      Address mine = pair.address();
      pair.connect(meeting.exchange(me, mine));
    }
    ibv_wc_status post(const ibv_sge& piece, const Request& request) {
      EXPECT_EQ(pair.send({piece}, request), 0);
      return queue.next().status;
    }
    ibv_wc_status write(const ibv_sge& piece, Window to) {
      return post(piece, {.opcode = IBV_WR_RDMA_WRITE, .to = to});
    }
    // Writes what lies there from `at` on until all those pages are shared.
    void heat(const Buffer& from, Window to, size_t at = 0) {
      auto end = std::chrono::steady_clock::now() + kPatience;
      while (!shared_at(from.data()) && std::chrono::steady_clock::now() < end) {
        ASSERT_EQ(write(from.piece(at, kBytes - at), to), IBV_WC_SUCCESS);
      }
      ASSERT_TRUE(shared_at(from.data()));
    }
  };

  // Two programs that are connected.
  void connected(const std::function<void(Side&)>& target,
                 const std::function<void(Side&, Window)>& initiator,
                 ibv_qp_type type = IBV_QPT_RC) {
    started_ = true;
    cluster("connectx", 2);
    pid_t there = start(0, [=, this] {
      Side side(meeting(), kTarget, type);
      meeting().tell(kWindow, side.buffer.window());
      meeting().wait(kReady);
      target(side);
      meeting().wait(kEnd);
    });
    pid_t here = start(1, [=, this] {
      Side side(meeting(), kInitiator, type);
      auto window = meeting().hear<Window>(kWindow);
      meeting().signal(kReady);
      initiator(side, window);
      meeting().signal(kEnd);
    });
    EXPECT_EQ(finish(here), 0);
    EXPECT_EQ(finish(there), 0);
  }

  fabric::QueuePairView pair_on(int node) {
    fabric::Snapshot seen = fabric().snapshot();
    for (const fabric::QueuePairView& pair : seen.queue_pairs) {
      if (seen.processes[static_cast<size_t>(pair.process)].node == node) return pair;
    }
    return {};
  }

  bool started_ = false;
};

// -------------------------------------------------------------------------------------------------
// Every kind of message.

struct Kind {
  const char* name;
  ibv_qp_type type;
  ibv_wr_opcode opcode;
};

class SharedPagesMessageTest : public SharedPagesTest, public testing::WithParamInterface<Kind> {};

TEST_P(SharedPagesMessageTest, IsCopiedWithoutASystemCallAndIsTheSame) {
  static constexpr uint64_t kRounds = 40;
  const Kind kind = GetParam();
  bool reads = kind.opcode == IBV_WR_RDMA_READ;
  bool takes = kind.opcode == IBV_WR_SEND || kind.opcode == IBV_WR_SEND_WITH_IMM ||
               kind.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
  auto offset = [](uint64_t round) { return static_cast<size_t>(round % 7 * 4099); };
  connected(
      [=, this](Side& side) {
        for (uint64_t round = 1; round <= kRounds; ++round) {
          if (reads) side.buffer.fill(round, offset(round), kBytes);
          ASSERT_EQ(side.pair.receive({side.buffer.piece(offset(round), kBytes)}), 0);
          meeting().signal(kRound + static_cast<int>(round));
          ASSERT_EQ(side.queue.next().status, IBV_WC_SUCCESS);
          ASSERT_TRUE(side.buffer.holds(round, offset(round), kBytes)) << "round " << round;
        }
      },
      [=, this](Side& side, Window window) {
        for (uint64_t round = 1; round <= kRounds; ++round) {
          meeting().wait(kRound + static_cast<int>(round));
          size_t at = offset(round);
          side.buffer.fill(reads ? 0 : round, at, kBytes);
          Window to{window.address + at, window.key};
          Request request{.opcode = kind.opcode, .to = to};
          ASSERT_EQ(side.post(side.buffer.piece(at, kBytes), request), IBV_WC_SUCCESS);
          if (reads) {
            ASSERT_TRUE(side.buffer.holds(round, at, kBytes)) << "round " << round;
          }
          if (!takes) {
            ASSERT_EQ(side.post(side.buffer.piece(0, 0), {}), IBV_WC_SUCCESS);
          }
          // The helper thread sees to it when it has the time.
          const uint8_t* piece = side.buffer.data() + at;
          auto end = std::chrono::steady_clock::now() + kPatience;
          while (!(shared_at(piece + kPage) && shared_at(piece + kBytes - kPage)) &&
                 std::chrono::steady_clock::now() < end) {
            usleep(1000);
          }
        }
        // All but the first that lay there, in each of the two windows that they may lie in.
        EXPECT_GE(pair_on(0).copied_plainly, kRounds - 2);
      },
      kind.type);
}

INSTANTIATE_TEST_SUITE_P(
    All, SharedPagesMessageTest,
    testing::Values(Kind{"RcSend", IBV_QPT_RC, IBV_WR_SEND},
                    Kind{"RcSendWithImmediate", IBV_QPT_RC, IBV_WR_SEND_WITH_IMM},
                    Kind{"RcWrite", IBV_QPT_RC, IBV_WR_RDMA_WRITE},
                    Kind{"RcWriteWithImmediate", IBV_QPT_RC, IBV_WR_RDMA_WRITE_WITH_IMM},
                    Kind{"RcRead", IBV_QPT_RC, IBV_WR_RDMA_READ},
                    Kind{"UcSend", IBV_QPT_UC, IBV_WR_SEND},
                    Kind{"UcWrite", IBV_QPT_UC, IBV_WR_RDMA_WRITE}),
    [](const auto& kind) { return kind.param.name; });

// Small operations that their initiator carries out: by plain copies when the target shares.
TEST_F(SharedPagesTest, WhatPeersReachOftenIsReachedPlainly) {
  setenv("RAILYARD_ONE_SIDED", "initiator", 1);
  connected(
      [this](Side& side) {
        auto end = std::chrono::steady_clock::now() + kPatience;
        while (!shared_at(side.buffer.data()) && std::chrono::steady_clock::now() < end)
          usleep(1000);
        EXPECT_TRUE(shared_at(side.buffer.data()));
      },
      [this](Side& side, Window window) {
        auto end = std::chrono::steady_clock::now() + kPatience;
        uint64_t round = 0;
        while (pair_on(1).copied_plainly < 50 && std::chrono::steady_clock::now() < end) {
          uint64_t offset = ++round % 100 * 8;
          Window to{window.address + offset, window.key};
          side.buffer.fill(round, 0, 64);
          ASSERT_EQ(side.write(side.buffer.piece(0, 64), to), IBV_WC_SUCCESS);
          ASSERT_EQ(side.post(side.buffer.piece(4096, 64), {.opcode = IBV_WR_RDMA_READ, .to = to}),
                    IBV_WC_SUCCESS);
          ASSERT_EQ(memcmp(side.buffer.data(), side.buffer.data() + 4096, 64), 0);
        }
        EXPECT_GE(pair_on(1).copied_plainly, 50u);
      });
  unsetenv("RAILYARD_ONE_SIDED");
}

// -------------------------------------------------------------------------------------------------
// The program cannot tell.

// Threads that write all the time, by themselves and by system calls, while the pages move there
// and back: each knows what it has written.
TEST_F(SharedPagesTest, NoWriteIsLostWhilePagesMove) {
  connected([](Side&) {},
            [](Side& side, Window window) {
              Buffer& buffer = side.buffer;
              static constexpr size_t kThreads = 3, kStride = 64;
              auto* words = reinterpret_cast<uint64_t*>(buffer.data());
              // What is sent meanwhile they leave alone.
              static constexpr size_t kWritten = kBytes - (64 << 10);
              size_t places = kWritten / kStride;
              std::atomic<bool> enough{false};
              std::atomic<uint64_t> lost{0}, rounds{0};
              std::vector<std::thread> threads;
              for (size_t me = 0; me < kThreads; ++me) {
                threads.emplace_back([&, me] {
                  for (uint64_t round = 1; !enough; ++round, ++rounds) {
                    for (size_t i = 0; i < places; ++i) {
                      std::atomic_ref word(words[i * kStride / sizeof *words + me]);
                      uint64_t before = word.load(std::memory_order_relaxed);
                      lost += before != round - 1;
                      word.store(round, std::memory_order_relaxed);
                    }
                  }
                });
              }
              int file = memfd_create("zeroes", MFD_CLOEXEC);
              threads.emplace_back([&] {
                uint8_t* place = buffer.data() + kBytes;
                std::vector<uint8_t> bytes(kBytes);
                for (int round = 1; !enough; ++round) {
                  memset(bytes.data(), round & 0xff, bytes.size());
                  lost +=
                      pwrite(file, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(kBytes);
                  lost += pread(file, place, kBytes, 0) != static_cast<ssize_t>(kBytes);
                  lost += memcmp(place, bytes.data(), kBytes) != 0;
                }
              });
              for (int move = 0; move < 20; ++move) {
                ibv_mr* region =
                    ibv_reg_mr(side.here.domain, buffer.data(), buffer.bytes(), Buffer::kAllAccess);
                ASSERT_NE(region, nullptr);
                side.heat(buffer, window, kWritten);
                ASSERT_EQ(ibv_dereg_mr(region), 0);
                ASSERT_FALSE(shared_at(buffer.data()));
              }
              enough = true;
              for (std::thread& thread : threads) thread.join();
              close(file);
              EXPECT_GT(rounds, 0u);
              EXPECT_EQ(lost, 0u);
            });
}

TEST_F(SharedPagesTest, AChildHasMemoryOfItsOwn) {
  connected([](Side&) {},
            [](Side& side, Window window) {
              side.buffer.fill(5);
              side.heat(side.buffer, window);
              int after[2];
              ASSERT_EQ(pipe(after), 0);
              pid_t child = fork();
              if (child == 0) {
                // Not before the parent has written.
                char word;
                bool right = read(after[0], &word, 1) == 1 && side.buffer.holds(5) &&
                             !shared_at(side.buffer.data());
                side.buffer.fill(6);
                _exit(right ? 0 : 1);
              }
              side.buffer.fill(7);
              ASSERT_EQ(write(after[1], "", 1), 1);
              int status = -1;
              ASSERT_EQ(waitpid(child, &status, 0), child);
              EXPECT_EQ(status, 0);
              EXPECT_TRUE(side.buffer.holds(7));
              EXPECT_TRUE(shared_at(side.buffer.data()));
              EXPECT_EQ(side.write(side.buffer.piece(0, kBytes), window), IBV_WC_SUCCESS);
              close(after[0]), close(after[1]);
            });
}

// An allocator may give pages back that way and count on finding zeros.
TEST_F(SharedPagesTest, WhatIsDeregisteredIsPrivateAgain) {
  connected(
      [](Side&) {},
      [](Side& side, Window window) {
        // More in all than may be shared: none of it stays behind.
        constexpr int kTimes = 140;
        for (int i = 0; i < kTimes; ++i) {
          uint8_t* memory = map_memory();
          memset(memory, i + 1, 2 * kBytes);
          ibv_mr* region = ibv_reg_mr(side.here.domain, memory, 2 * kBytes, Buffer::kAllAccess);
          ASSERT_NE(region, nullptr);
          ibv_sge piece{reinterpret_cast<uint64_t>(memory), kBytes, region->lkey};
          auto end = std::chrono::steady_clock::now() + kPatience;
          while (!shared_at(memory) && std::chrono::steady_clock::now() < end) {
            ASSERT_EQ(side.write(piece, window), IBV_WC_SUCCESS);
          }
          ASSERT_TRUE(shared_at(memory)) << i;
          ASSERT_EQ(ibv_dereg_mr(region), 0);
          ASSERT_FALSE(shared_at(memory));
          auto* bytes = static_cast<uint8_t*>(memory);
          auto right = std::count(bytes, bytes + 2 * kBytes, static_cast<uint8_t>(i + 1));
          ASSERT_EQ(static_cast<size_t>(right), 2 * kBytes);
          ASSERT_EQ(madvise(memory, 2 * kBytes, MADV_DONTNEED), 0);
          ASSERT_EQ(std::count(memory, memory + 2 * kBytes, 0), static_cast<long>(2 * kBytes));
          munmap(memory, 2 * kBytes);
        }
      });
}

// Programs are to deregister first, but not all do.
TEST_F(SharedPagesTest, WhatAProgramMapsThereMeanwhileIsLeftAlone) {
  connected(
      [](Side&) {},
      [](Side& side, Window window) {
        for (bool moves : {false, true}) {
          uint8_t* memory = map_memory();
          memset(memory, 1, 2 * kBytes);
          ibv_mr* region = ibv_reg_mr(side.here.domain, memory, 2 * kBytes, Buffer::kAllAccess);
          ASSERT_NE(region, nullptr);
          ibv_sge piece{reinterpret_cast<uint64_t>(memory), kBytes, region->lkey};
          auto end = std::chrono::steady_clock::now() + kPatience;
          while (!shared_at(memory) && std::chrono::steady_clock::now() < end) {
            ASSERT_EQ(side.write(piece, window), IBV_WC_SUCCESS);
          }
          ASSERT_TRUE(shared_at(memory));
          uint8_t* elsewhere = map_memory();
          if (moves) {
            ASSERT_EQ(
                mremap(memory, 2 * kBytes, 2 * kBytes, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere),
                elsewhere);
          }
          ASSERT_EQ(mmap(memory, 2 * kBytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                    memory);
          memset(memory, 2, 2 * kBytes);
          ASSERT_EQ(ibv_dereg_mr(region), 0);
          EXPECT_EQ(std::count(memory, memory + 2 * kBytes, 2), static_cast<long>(2 * kBytes));
          EXPECT_FALSE(shared_at(memory));
          EXPECT_FALSE(shared_at(elsewhere));
          EXPECT_EQ(elsewhere[kBytes], moves ? 1 : 0);
          munmap(memory, 2 * kBytes);
          munmap(elsewhere, 2 * kBytes);
        }
      });
}

// An operation that crosses from one window to the next is copied plainly as a whole or not at all.
TEST_F(SharedPagesTest, TheLittleBesideAWindowMovesWithIt) {
  connected([](Side&) {},
            [](Side& side, Window window) {
              constexpr size_t kWindow = 4 * kBytes, kLittle = 2 * kPage;
              for (size_t before : {kLittle, kBytes - kLittle}) {
                void* all =
                    mmap(nullptr, 3 * kWindow, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                uintptr_t edge = (reinterpret_cast<uintptr_t>(all) / kWindow + 2) * kWindow;
                auto* memory = reinterpret_cast<uint8_t*>(edge - before);
                ASSERT_EQ(mmap(memory, kBytes, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                          memory);
                Buffer buffer(side.here, memory, kBytes, Buffer::kAllAccess);
                bool begins = before == kLittle;  // with the little
                size_t hot = begins ? kLittle : 0, little = begins ? 0 : kBytes - kLittle;
                auto end = std::chrono::steady_clock::now() + kPatience;
                while (!shared_at(memory + hot) && std::chrono::steady_clock::now() < end) {
                  ASSERT_EQ(side.write(buffer.piece(hot, kBytes / 2), window), IBV_WC_SUCCESS);
                }
                EXPECT_TRUE(shared_at(memory + hot));
                // At once, unless somebody happens to copy there.
                while (!shared_at(memory + little) && std::chrono::steady_clock::now() < end) {
                  ASSERT_EQ(side.write(buffer.piece(hot, kBytes / 2), window), IBV_WC_SUCCESS);
                }
                EXPECT_TRUE(shared_at(memory + little)) << begins;
              }
            });
}

// What else is a mapping of the program's is none that may move.
TEST_F(SharedPagesTest, MemoryWithSomethingSpecialStaysWhereItIs) {
  connected([](Side&) {},
            [](Side& side, Window window) {
              for (int advice : {MADV_DONTFORK, MADV_WIPEONFORK, MADV_DONTDUMP}) {
                Buffer buffer(side.here, kBytes, Buffer::kAllAccess);
                ASSERT_EQ(madvise(buffer.data(), buffer.bytes(), advice), 0);
                for (int i = 0; i < 10; ++i) {
                  ASSERT_EQ(side.write(buffer.piece(0, kBytes), window), IBV_WC_SUCCESS);
                  usleep(1000);
                }
                EXPECT_FALSE(shared_at(buffer.data())) << advice;
              }
            });
}

// -------------------------------------------------------------------------------------------------
// Death.

TEST_F(SharedPagesTest, WhatAKilledProgramSharedIsGivenBack) {
  started_ = true;
  cluster("connectx", 2);
  auto taken = [this] {
    struct stat file {};
    EXPECT_EQ(stat(("/dev/shm" + fabric().name()).c_str(), &file), 0);
    return static_cast<size_t>(file.st_blocks) * 512;
  };
  pid_t there = start(0, [=, this] {
    Side side(meeting(), kTarget, IBV_QPT_RC);
    meeting().tell(kWindow, side.buffer.window());
    meeting().wait(kEnd);
  });
  pid_t here = start(1, [=, this] {
    Side side(meeting(), kInitiator, IBV_QPT_RC);
    auto window = meeting().hear<Window>(kWindow);
    Buffer more(side.here, 16 * kBytes, Buffer::kAllAccess);
    for (size_t at = 0; at < more.bytes(); at += kBytes) {
      auto end = std::chrono::steady_clock::now() + kPatience;
      while (!shared_at(more.data() + at) && std::chrono::steady_clock::now() < end) {
        EXPECT_EQ(side.write(more.piece(at, kBytes), window), IBV_WC_SUCCESS);
      }
      EXPECT_TRUE(shared_at(more.data() + at));
    }
    meeting().signal(kReady);
    for (;;) EXPECT_EQ(side.write(more.piece(0, kBytes), window), IBV_WC_SUCCESS);
  });
  meeting().wait(kReady);
  EXPECT_GT(taken(), 15 * kBytes);
  kill(here, SIGKILL);
  finish(here);
  wait_until("what it had is given back",
             [&](const fabric::Snapshot&) { return taken() < 8 * kBytes; });
  meeting().signal(kEnd);
  EXPECT_EQ(finish(there), 0);
}

}  // namespace
}  // namespace railyard::test

#endif
