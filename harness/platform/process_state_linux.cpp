// process_state.h from /proc.
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <sstream>

#include "platform/process_state.h"

namespace railyard::harness {

namespace {

// Empty when the process is gone, at whatever moment: such a read fails half-way.
std::string slurp(const std::string& path) {
  std::string text;
  int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return text;
  char buffer[4096];
  for (ssize_t size; (size = read(descriptor, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(size));
  }
  close(descriptor);
  return text;
}

std::vector<std::string> entries(const std::string& directory) {
  std::vector<std::string> names;
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return names;
  while (dirent* entry = readdir(dir)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(dir);
  return names;
}

// The call in which a thread waits for somebody else, or nullptr.
const char* waiting_call(long number) {
  switch (number) {
    case SYS_read:
    case SYS_readv:
      return "read";
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
      return "recv";
    case SYS_write:
    case SYS_writev:
    case SYS_sendto:
    case SYS_sendmsg:
      return "send";
    case SYS_ppoll:
#ifdef SYS_poll
    case SYS_poll:
#endif
      return "poll";
    case SYS_pselect6:
#ifdef SYS_select
    case SYS_select:
#endif
      return "select";
    case SYS_epoll_pwait:
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
      return "epoll_wait";
    case SYS_accept:
    case SYS_accept4:
      return "accept";
    case SYS_connect:
      return "connect";
    case SYS_futex:
      return "futex";
    default:
      return nullptr;
  }
}

struct Thread {
  char state = '?';
  const char* waits_in = nullptr;
};

Thread look_at(const std::string& task) {
  Thread thread;
  std::string stat = slurp(task + "/stat");
  size_t end = stat.rfind(')');  // a command's name may hold anything
  if (end == std::string::npos || end + 2 >= stat.size()) return thread;
  thread.state = stat[end + 2];
  if (thread.state == 'S') {
    std::string call = slurp(task + "/syscall");
    if (!call.empty() && call[0] != 'r') thread.waits_in = waiting_call(std::atol(call.c_str()));
  }
  return thread;
}

uint64_t field(const std::string& text, const char* name) {
  size_t at = text.find(name);
  return at == std::string::npos
             ? 0
             : std::strtoull(text.c_str() + at + std::strlen(name), nullptr, 10);
}

}  // namespace

ProcessState process_state(pid_t pid) {
  ProcessState result;
  std::string root = "/proc/" + std::to_string(pid);
  std::vector<std::string> tasks = entries(root + "/task");
  if (tasks.empty()) {
    result.kind = ProcessState::Kind::gone;
    return result;
  }
  result.kind = ProcessState::Kind::sleeping;
  result.waits = true;
  for (const std::string& name : tasks) {
    std::string task = root + "/task/" + name;
    Thread thread = look_at(task);
    result.cpu_ns += std::strtoull(slurp(task + "/schedstat").c_str(), nullptr, 10);
    result.wakeups += field(slurp(task + "/status"), "\nvoluntary_ctxt_switches:");
    switch (thread.state) {
      case 'T':
      case 't':
        result.kind = ProcessState::Kind::stopped;
        break;
      case 'Z':
      case 'X':
        if (name == std::to_string(pid)) result.kind = ProcessState::Kind::gone;
        break;
      case 'S':
        if (thread.waits_in == nullptr) result.waits = false;
        if (thread.waits_in != nullptr && (result.waits_in.empty() || result.waits_in == "futex")) {
          result.waits_in = thread.waits_in;
        }
        break;
      default:
        result.waits = false;
        if (result.kind == ProcessState::Kind::sleeping) result.kind = ProcessState::Kind::running;
    }
  }
  return result;
}

std::optional<std::vector<uint16_t>> listening_ports(pid_t pid) {
  std::set<std::string> sockets;  // inodes
  std::string descriptors = "/proc/" + std::to_string(pid) + "/fd";
  for (const std::string& name : entries(descriptors)) {
    char target[64];
    ssize_t size = readlink((descriptors + "/" + name).c_str(), target, sizeof target - 1);
    if (size <= 9) continue;
    target[size] = 0;
    if (std::strncmp(target, "socket:[", 8) == 0)
      sockets.insert(std::string(target + 8, static_cast<size_t>(size) - 9));
  }
  std::vector<uint16_t> ports;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::istringstream lines(slurp(table));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
          timeout >> inode;
      if (state != "0A" || !sockets.count(inode)) continue;  // 0A: LISTEN
      size_t colon = local.rfind(':');
      ports.push_back(static_cast<uint16_t>(std::strtoul(local.c_str() + colon + 1, nullptr, 16)));
    }
  }
  // The connection manager's are sockets with a name: "@railyard-cm/<fabric>/<space>/<host>/<port>".
  constexpr char kAccepting[] = "00010000";
  std::istringstream lines(slurp("/proc/net/unix"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string slot, references, protocol, flags, type, state, inode, name;
    words >> slot >> references >> protocol >> flags >> type >> state >> inode >> name;
    if (flags != kAccepting || name.rfind("@railyard-cm/", 0) != 0 || !sockets.count(inode)) continue;
    size_t slash = name.rfind('/');
    ports.push_back(static_cast<uint16_t>(std::strtoul(name.c_str() + slash + 1, nullptr, 10)));
  }
  return ports;
}

}  // namespace railyard::harness
