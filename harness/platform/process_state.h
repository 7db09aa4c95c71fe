// What the system says about a running process, apart from the fabric.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace railyard::harness {

struct ProcessState {
  enum class Kind { running, sleeping, stopped, gone, unknown };
  Kind kind = Kind::unknown;
  // Every thread sleeps in a call that only another process ends: a socket, a pipe, a lock. A
  // process that sleeps for a time of its own choosing does not wait.
  bool waits = false;
  uint64_t wakeups = 0;  // grows each time a thread went to sleep
  uint64_t cpu_ns = 0;   // used by all threads
  std::string waits_in;  // "recv", "poll", "futex", ...
};

// Without such knowledge (other systems than Linux) the kind is `unknown`.
ProcessState process_state(pid_t pid);

// Ports on which the process listens, TCP's and the simulated connection manager's; nullopt where the
// system does not tell.
std::optional<std::vector<uint16_t>> listening_ports(pid_t pid);

}  // namespace railyard::harness
