// process_state.h from /proc.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "platform/proc_files.h"
#include "platform/process_state.h"
#include "platform/waiting_call_linux.h"

namespace railyard::harness {

namespace {

uint64_t field(const std::string& text, const char* name) {
  size_t at = text.find(name);
  return at == std::string::npos
             ? 0
             : std::strtoull(text.c_str() + at + std::strlen(name), nullptr, 10);
}

char state_of(const std::string& task) {
  std::string stat = proc::slurp(task + "/stat");
  size_t end = stat.rfind(')');  // a command's name may hold anything
  return end == std::string::npos || end + 2 >= stat.size() ? '?' : stat[end + 2];
}

void add_wait(const std::optional<WaitingCall>& call, ProcessState& result) {
  if (!call) {
    result.waits = false;
    return;
  }
  result.wait_limit_ns = std::min(result.wait_limit_ns, call->limit_ns);
  // What a helper thread sleeps in says less than what the program waits for.
  if (result.waits_in.empty() || result.waits_in == "futex") result.waits_in = call->name;
}

// A thread that sleeps, works or stopped; how its process as a whole is, is told by `main`.
void add_thread(pid_t pid, const std::string& task, bool main, ProcessState& result) {
  char state = state_of(task);
  result.cpu_ns += std::strtoull(proc::slurp(task + "/schedstat").c_str(), nullptr, 10);
  result.wakeups += field(proc::slurp(task + "/status"), "\nvoluntary_ctxt_switches:");
  switch (state) {
    case 'T':
    case 't':
      result.kind = ProcessState::Kind::stopped;
      break;
    case 'Z':
    case 'X':
      if (main) result.kind = ProcessState::Kind::gone;
      break;
    case 'S':
      add_wait(waiting_call(pid, proc::slurp(task + "/syscall")), result);
      break;
    default:
      result.waits = false;
      if (result.kind == ProcessState::Kind::sleeping) result.kind = ProcessState::Kind::running;
  }
}

// A program that waits for a child does what the child does; a stopped child is none of its own.
void add_children(const std::string& task, ProcessState& result) {
  std::istringstream children(proc::slurp(task + "/children"));
  for (pid_t child; children >> child;) {
    ProcessState state = process_state(child);
    result.cpu_ns += state.cpu_ns;
    result.wakeups += state.wakeups;
    if (state.kind == ProcessState::Kind::gone) continue;
    if (state.kind == ProcessState::Kind::running) result.waits = false;
    result.waits = result.waits && (state.waits || state.kind == ProcessState::Kind::stopped);
    result.wait_limit_ns = std::min(result.wait_limit_ns, state.wait_limit_ns);
  }
}

}  // namespace

ProcessState process_state(pid_t pid) {
  ProcessState result;
  std::string root = "/proc/" + std::to_string(pid);
  std::vector<std::string> tasks = proc::entries(root + "/task");
  if (tasks.empty()) {
    result.kind = ProcessState::Kind::gone;
    return result;
  }
  result.kind = ProcessState::Kind::sleeping;
  result.waits = true;
  result.wait_limit_ns = ProcessState::kForEver;
  for (const std::string& name : tasks) {
    std::string task = root + "/task/" + name;
    add_thread(pid, task, name == std::to_string(pid), result);
    add_children(task, result);
  }
  return result;
}

}  // namespace railyard::harness
