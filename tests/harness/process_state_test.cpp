// What the system says about processes that wait, in every way they know.
#ifdef RAILYARD_LINUX
#include "platform/process_state.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "platform/sockets.h"

namespace railyard::harness {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// A child that does something for ever; gone with its object.
class Child {
 public:
  explicit Child(const std::function<void()>& act) : pid_(fork()) {
    if (pid_ != 0) return;
    act();
    _exit(0);
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

  // Its state once it waits.
  ProcessState waiting() const {
    ProcessState state;
    for (int i = 0; i < 2000 && !state.waits; ++i) {
      usleep(1000);
      state = process_state(pid_);
    }
    return state;
  }

 private:
  pid_t pid_;
};

struct SocketPair {
  SocketPair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); }
  ~SocketPair() {
    close(ends[0]);
    close(ends[1]);
  }
  int ends[2];
};

void expect_wait(const ProcessState& state, const char* in, int64_t least, int64_t most) {
  EXPECT_TRUE(state.waits);
  EXPECT_EQ(state.waits_in, in);
  EXPECT_GE(state.wait_limit_ns, least);
  EXPECT_LE(state.wait_limit_ns, most);
}

void expect_for_ever(const ProcessState& state, const char* in) {
  expect_wait(state, in, ProcessState::kForEver, ProcessState::kForEver);
}

TEST(ProcessState, AReceiveLastsForEver) {
  SocketPair pair;
  Child child([&] {
    char byte;
    recv(pair.ends[0], &byte, 1, 0);
  });
  expect_for_ever(child.waiting(), "recv");
}

TEST(ProcessState, ASocketMayHaveATimeOut) {
  SocketPair pair;
  timeval time{30, 0};
  setsockopt(pair.ends[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  Child child([&] {
    char byte;
    recv(pair.ends[0], &byte, 1, 0);
  });
  expect_wait(child.waiting(), "recv", 29 * kSecond, 31 * kSecond);
}

TEST(ProcessState, PollTellsItsTime) {
  SocketPair pair;
  pollfd entry{pair.ends[0], POLLIN, 0};
  Child timed([&] { poll(&entry, 1, 30'000); });
  expect_wait(timed.waiting(), "poll", 30 * kSecond, 30 * kSecond);
  Child untimed([&] { poll(&entry, 1, -1); });
  expect_for_ever(untimed.waiting(), "poll");
  timespec time{20, 0};
  Child precise([&] { ppoll(&entry, 1, &time, nullptr); });
  expect_wait(precise.waiting(), "poll", 19 * kSecond, 20 * kSecond);
}

TEST(ProcessState, SelectTellsItsTime) {
  SocketPair pair;
  Child child([&] {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pair.ends[0], &set);
    timeval time{30, 0};
    select(pair.ends[0] + 1, &set, nullptr, nullptr, &time);
  });
  expect_wait(child.waiting(), "select", 29 * kSecond, 30 * kSecond);
}

TEST(ProcessState, AnArmedTimerEndsAWaitForEvents) {
  auto wait_with = [](int64_t seconds) {
    int timer = timerfd_create(CLOCK_MONOTONIC, 0), set = epoll_create1(0);
    itimerspec time{{0, 0}, {seconds, 0}};
    timerfd_settime(timer, 0, &time, nullptr);
    epoll_event event{EPOLLIN, {}};
    epoll_ctl(set, EPOLL_CTL_ADD, timer, &event);
    epoll_wait(set, &event, 1, -1);
  };
  Child armed([&] { wait_with(30); });
  expect_wait(armed.waiting(), "epoll_wait", 25 * kSecond, 30 * kSecond);
  Child disarmed([&] { wait_with(0); });
  expect_for_ever(disarmed.waiting(), "epoll_wait");
}

TEST(ProcessState, LocksInBothKindsOfTime) {
  int word = 0;
  timespec time{30, 0};
  Child relative([&] { syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time, nullptr, 0); });
  expect_wait(relative.waiting(), "futex", 30 * kSecond, 30 * kSecond);
  timespec moment;
  clock_gettime(CLOCK_MONOTONIC, &moment);
  moment.tv_sec += 30;
  Child absolute([&] {
    syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &moment, nullptr, FUTEX_BITSET_MATCH_ANY);
  });
  expect_wait(absolute.waiting(), "futex", 20 * kSecond, 30 * kSecond);
}

TEST(ProcessState, SleepingIsNoWait) {
  Child child([] { sleep(60); });
  ProcessState state = process_state(child.pid());
  for (int i = 0; i < 2000 && state.kind != ProcessState::Kind::sleeping; ++i) {
    usleep(1000);
    state = process_state(child.pid());
  }
  EXPECT_EQ(state.kind, ProcessState::Kind::sleeping);
  EXPECT_FALSE(state.waits);
}

TEST(ProcessState, AParentDoesWhatItsChildDoes) {
  SocketPair pair;
  auto parent_of = [](std::function<void()> act) {
    return [act] {
      pid_t child = fork();
      if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        act();
      }
      waitpid(child, nullptr, 0);
    };
  };
  Child receives(parent_of([&] {
    char byte;
    recv(pair.ends[0], &byte, 1, 0);
  }));
  Child works(parent_of([] {
    for (volatile bool on = true; on;) continue;
  }));
  Child sleeps(parent_of([] { sleep(60); }));
  EXPECT_TRUE(receives.waiting().waits);
  usleep(100'000);
  EXPECT_FALSE(process_state(works.pid()).waits);
  EXPECT_FALSE(process_state(sleeps.pid()).waits);
}

// A connection on this machine, from one process to another.
struct Connection {
  Connection() {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    here = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(here, reinterpret_cast<sockaddr*>(&address), size), 0);
    there = accept(listener, nullptr, nullptr);
    close(listener);
  }
  ~Connection() {
    close(here);
    close(there);
  }
  int here, there;
};

TEST(Sockets, AmongThemselves) {
  Connection connection;
  auto keep = [](int kept, int other) {
    return [=] {
      close(other);
      char byte;
      recv(kept, &byte, 1, 0);
    };
  };
  Child one(keep(connection.here, connection.there)), two(keep(connection.there, connection.here));
  one.waiting();
  two.waiting();
  EXPECT_TRUE(among_themselves({one.pid(), two.pid()}));
  EXPECT_FALSE(among_themselves({one.pid()}));
  EXPECT_TRUE(among_themselves({}));
}

}  // namespace
}  // namespace railyard::harness
#endif
