// More than one fabric, more nodes than anybody has, less memory than is needed.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#include <sys/mount.h>
#endif

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class CrowdTest : public VerbsTest {};

// The same names, numbers and addresses in both, and nothing crosses.
TEST_F(CrowdTest, TwoClustersSideBySideAreApart) {
  cluster("connectx", 2);
  auto other = fabric::Fabric::create(fabric::default_cluster("connectx", 2));
  auto exchange = [&](const fabric::Fabric* of, int me, int place, uint64_t seed) {
    if (of) {
      for (const auto& [name, value] : of->environment(me)) setenv(name.c_str(), value.c_str(), 1);
    }
    Program here;
    Queue queue(here);
    Pair pair(here, queue);
    Buffer buffer(here, 4096);
    ASSERT_EQ(pair.to_init(), 0);
    ASSERT_EQ(pair.receive({buffer.piece(0, 64)}), 0);
    meeting().tell(place + me, pair.address());
    ASSERT_EQ(pair.to_rtr(meeting().hear<Address>(place + 1 - me)), 0);
    ASSERT_EQ(pair.to_rts(), 0);
    buffer.fill(seed, 64, 64);
    meeting().signal(place + 2 + me);
    meeting().wait(place + 3 - me);
    ASSERT_EQ(pair.send({buffer.piece(64, 64)}), 0);
    for (const ibv_wc& done : queue.next(2)) EXPECT_EQ(done.status, IBV_WC_SUCCESS);
    EXPECT_TRUE(buffer.holds(seed, 0, 64));
    meeting().signal(place + 4 + me);
    meeting().wait(place + 5 - me);
  };
  std::vector<pid_t> pids;
  for (int me : {0, 1}) {
    pids.push_back(start(me, [&, me] { exchange(nullptr, me, 0, 1); }));
    pids.push_back(start(me, [&, me] { exchange(&other, me, 10, 2); }));
  }
  for (pid_t pid : pids) EXPECT_EQ(finish(pid), 0);
}

TEST_F(CrowdTest, TheFirstOf256NodesReachesTheLast) {
  constexpr int kNodes = 256;
  cluster("permissive", kNodes);
  EXPECT_EQ(fabric().snapshot().devices.size(), size_t{kNodes});
  auto first = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue);
    Buffer buffer(here, 4096);
    pair.connect(meeting().exchange(0, pair.address()));
    buffer.fill(3, 0, 64);
    ASSERT_EQ(pair.send({buffer.piece(0, 64)}), 0);
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
  };
  auto last = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue);
    Buffer buffer(here, 4096);
    ASSERT_EQ(pair.to_init(), 0);
    ASSERT_EQ(pair.receive({buffer.piece(0, 64)}), 0);
    Address peer = meeting().exchange(1, pair.address());
    ASSERT_EQ(pair.to_rtr(peer), 0);
    ASSERT_EQ(pair.to_rts(), 0);
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(buffer.holds(3, 0, 64));
  };
  pid_t pids[] = {start(0, first), start(kNodes - 1, last)};
  for (pid_t pid : pids) EXPECT_EQ(finish(pid), 0);
}

#ifdef __linux__
// Many wait on the one core that two others need for every message. A poll that kept the core for
// its whole time slice would find nothing some 100,000 times a message.
TEST_F(CrowdTest, WhoFindsNothingGivesItsCoreAway) {
  constexpr int kIdlers = 6, kMessages = 1000, kBegin = 10, kEnd = 11;
  constexpr uint64_t kMostPolls = 64 * 4;  // of an idler, for a message there and back
  cluster("connectx", 2);
  auto share_one_core = [] {
    cpu_set_t allowed, one;
    ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    int core = 0;
    while (!CPU_ISSET(core, &allowed)) ++core;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  };
  auto take = [](const Queue& queue) {
    ibv_wc completion;
    return ibv_poll_cq(queue.get(), 1, &completion);
  };
  auto talker = [&](int me) {
    share_one_core();
    Program here;
    Queue sent(here), received(here);
    Pair pair(here, sent, received);
    Buffer buffer(here, 4096);
    ASSERT_EQ(pair.to_init(), 0);
    ASSERT_EQ(pair.receive({buffer.piece(0, 8)}), 0);
    ASSERT_EQ(pair.to_rtr(meeting().exchange(me, pair.address())), 0);
    ASSERT_EQ(pair.to_rts(), 0);
    for (int idler = 0; idler < kIdlers; ++idler) meeting().wait(20 + idler);
    if (me == 0) meeting().signal(kBegin);
    for (int message = 0; message < kMessages; ++message) {
      if (me == 0) {
        ASSERT_EQ(pair.send({buffer.piece(8, 8)}), 0);
      }
      while (take(received) == 0) {
      }
      ASSERT_EQ(pair.receive({buffer.piece(0, 8)}), 0);
      if (me == 1) {
        ASSERT_EQ(pair.send({buffer.piece(8, 8)}), 0);
      }
      while (take(sent) == 0) {
      }
    }
    if (me == 0) meeting().signal(kEnd);
  };
  auto idler = [&](int number) {
    share_one_core();
    Program here;
    Queue queue(here);
    meeting().signal(20 + number);
    meeting().wait(kBegin);
    uint64_t polls = 0;
    for (; !meeting().told(kEnd); ++polls) ASSERT_EQ(take(queue), 0);
    EXPECT_GT(polls, uint64_t{kMessages});  // it was in their way
    EXPECT_LT(polls, kMostPolls * kMessages);
  };
  std::vector<pid_t> pids;
  for (int i = 0; i < kIdlers; ++i) pids.push_back(start(i % 2, [&, i] { idler(i); }));
  for (int me : {0, 1}) pids.push_back(start(me, [&, me] { talker(me); }));
  for (pid_t pid : pids) EXPECT_EQ(finish(pid), 0);
}

// In a process of its own, with a small file system where shared memory is.
TEST_F(CrowdTest, AFullFileSystemIsAnErrorOfTheVerbThatNeededRoom) {
  cluster("permissive");  // of the fixture; the one below is in the small file system
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to mount a small file system";
  constexpr int kNotAllowed = 77;
  pid_t pid = fork();
  if (pid == 0) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("small", "/dev/shm", "tmpfs", 0, "size=6m") != 0) {
      _exit(kNotAllowed);
    }
    int result = 1;
    try {
      auto small = fabric::Fabric::create(fabric::default_cluster("permissive", 1));
      for (const auto& [name, value] : small.environment(0)) setenv(name.c_str(), value.c_str(), 1);
      Program here;
      Queue queue(here);
      std::vector<std::unique_ptr<Pair>> pairs;
      for (int i = 0; i < 1000; ++i) pairs.push_back(std::make_unique<Pair>(here, queue));
    } catch (const fabric::Error& error) {
      result = strstr(error.what(), "space") ? 0 : 2;
    } catch (const std::exception& error) {
      result =
          strstr(error.what(), strerror(ENOSPC)) || strstr(error.what(), strerror(ENOMEM)) ? 0 : 3;
      if (result != 0) fprintf(stderr, "%s\n", error.what());
    }
    fflush(nullptr);
    _exit(result);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotAllowed) {
    GTEST_SKIP() << "file systems may not be mounted here";
  }
  EXPECT_EQ(status, 0) << (WIFSIGNALED(status) ? "killed by a signal" : "");
}
#endif

}  // namespace
}  // namespace railyard::test
