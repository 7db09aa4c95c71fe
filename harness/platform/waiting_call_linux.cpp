#include "platform/waiting_call_linux.h"

#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "platform/proc_files.h"
#include "platform/process_state.h"

namespace railyard::harness {

namespace {

constexpr int64_t kForEver = ProcessState::kForEver;
constexpr int64_t kSecond = 1'000'000'000, kMillisecond = 1'000'000;

// A call as /proc tells it: "number argument0 ... argument5 stack instruction".
struct Call {
  pid_t pid = 0;
  long number = -1;
  uint64_t arguments[6] = {};

  int descriptor() const { return static_cast<int>(arguments[0]); }
};

std::optional<Call> parse(pid_t pid, const std::string& line) {
  if (line.empty() || line[0] < '0' || line[0] > '9') return std::nullopt;  // "running"
  Call call;
  call.pid = pid;
  char* rest = nullptr;
  call.number = std::strtol(line.c_str(), &rest, 10);
  for (uint64_t& argument : call.arguments) argument = std::strtoull(rest, &rest, 16);
  return call;
}

// A structure in the caller's memory.
template <typename T>
std::optional<T> read_argument(const Call& call, int index) {
  T value;
  iovec here{&value, sizeof value};
  iovec there{reinterpret_cast<void*>(call.arguments[index]), sizeof value};
  if (process_vm_readv(call.pid, &here, 1, &there, 1, 0) != sizeof value) return std::nullopt;
  return value;
}

int64_t limit_of(const Call& call, int timespec_index) {
  if (call.arguments[timespec_index] == 0) return kForEver;
  std::optional<timespec> time = read_argument<timespec>(call, timespec_index);
  return time ? time->tv_sec * kSecond + time->tv_nsec : 0;
}

int64_t limit_in_ms(uint64_t argument) {
  auto ms = static_cast<int32_t>(argument);
  return ms < 0 ? kForEver : ms * kMillisecond;
}

// What a wait in futex lasts: FUTEX_WAIT's time counts from its start, the others' is a moment.
int64_t limit_of_futex(const Call& call) {
  int64_t limit = limit_of(call, 3);
  int operation = static_cast<int>(call.arguments[1]);
  if (limit == kForEver || limit == 0 || (operation & FUTEX_CMD_MASK) == FUTEX_WAIT) return limit;
  timespec now;
  clock_gettime(operation & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
  return std::max<int64_t>(0, limit - (now.tv_sec * kSecond + now.tv_nsec));
}

// SO_RCVTIMEO and SO_SNDTIMEO do not show from outside: the socket itself has to be asked.
int64_t limit_of_socket(const Call& call, int option) {
  std::string link =
      "/proc/" + std::to_string(call.pid) + "/fd/" + std::to_string(call.descriptor());
  if (proc::target(link).rfind("socket:", 0) != 0) return kForEver;
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_getfd)
  auto process = static_cast<int>(syscall(SYS_pidfd_open, call.pid, 0));
  if (process < 0) return 0;
  auto copy = static_cast<int>(syscall(SYS_pidfd_getfd, process, call.descriptor(), 0));
  close(process);
  if (copy < 0) return 0;
  timeval time{};
  socklen_t size = sizeof time;
  bool known = getsockopt(copy, SOL_SOCKET, option, &time, &size) == 0;
  close(copy);
  if (!known) return 0;
  int64_t limit = time.tv_sec * kSecond + time.tv_usec * 1000;
  return limit == 0 ? kForEver : limit;
#else
  return 0;
#endif
}

// Armed timers that end a wait for events.
int64_t limit_of_timers(pid_t pid) {
  std::string root = "/proc/" + std::to_string(pid);
  int64_t least = kForEver;
  for (const std::string& name : proc::entries(root + "/fd")) {
    if (proc::target(root + "/fd/" + name) != "anon_inode:[timerfd]") continue;
    std::string info = proc::slurp(root + "/fdinfo/" + name);
    size_t at = info.find("it_value: (");
    if (at == std::string::npos) return 0;
    char* rest = nullptr;
    int64_t seconds = std::strtoll(info.c_str() + at + 11, &rest, 10);
    int64_t left = seconds * kSecond + std::strtoll(rest + 1, nullptr, 10);
    if (left != 0) least = std::min(least, left);
  }
  return least;
}

WaitingCall for_events(const Call& call, const char* name, int64_t limit) {
  return {name, std::min(limit, limit_of_timers(call.pid))};
}

}  // namespace

std::optional<WaitingCall> waiting_call(pid_t pid, const std::string& line) {
  std::optional<Call> call = parse(pid, line);
  if (!call) return std::nullopt;
  switch (call->number) {
    case SYS_read:
    case SYS_readv:
      return for_events(*call, "read", limit_of_socket(*call, SO_RCVTIMEO));
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
      return WaitingCall{"recv", limit_of_socket(*call, SO_RCVTIMEO)};
    case SYS_write:
    case SYS_writev:
    case SYS_sendto:
    case SYS_sendmsg:
      return WaitingCall{"send", limit_of_socket(*call, SO_SNDTIMEO)};
    case SYS_ppoll:
      return for_events(*call, "poll", limit_of(*call, 2));
#ifdef SYS_poll
    case SYS_poll:
      return for_events(*call, "poll", limit_in_ms(call->arguments[2]));
#endif
    case SYS_pselect6:
      return for_events(*call, "select", limit_of(*call, 4));
#ifdef SYS_select
    case SYS_select: {
      if (call->arguments[4] == 0) return for_events(*call, "select", kForEver);
      std::optional<timeval> time = read_argument<timeval>(*call, 4);
      return for_events(*call, "select", time ? time->tv_sec * kSecond + time->tv_usec * 1000 : 0);
    }
#endif
    case SYS_epoll_pwait:
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
      return for_events(*call, "epoll_wait", limit_in_ms(call->arguments[3]));
    case SYS_accept:
    case SYS_accept4:
      return WaitingCall{"accept", limit_of_socket(*call, SO_RCVTIMEO)};
    case SYS_connect:
      return WaitingCall{"connect", limit_of_socket(*call, SO_SNDTIMEO)};
    case SYS_futex:
      return WaitingCall{"futex", limit_of_futex(*call)};
    case SYS_wait4:
    case SYS_waitid:
      return WaitingCall{"wait", kForEver};
    default:
      return std::nullopt;
  }
}

}  // namespace railyard::harness
