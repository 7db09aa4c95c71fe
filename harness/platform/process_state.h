// What the system says about a running process, apart from the fabric.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <limits>
#include <string>

namespace railyard::harness {

struct ProcessState {
  enum class Kind { running, sleeping, stopped, gone, unknown };
  static constexpr int64_t kForEver = std::numeric_limits<int64_t>::max();

  Kind kind = Kind::unknown;
  // Every thread, those of its children too, sleeps in a call that only another process ends: a
  // socket, a pipe, a lock. A process that sleeps for a time of its own choosing does not wait.
  bool waits = false;
  // After how long the shortest of these calls returns by itself: its time-out, or that of its
  // socket. 0: unknown.
  int64_t wait_limit_ns = 0;
  uint64_t wakeups = 0;  // grows each time a thread went to sleep
  uint64_t cpu_ns = 0;   // used by all threads
  std::string waits_in;  // "recv", "poll", "futex", ...
};

// Without such knowledge (other systems than Linux) the kind is `unknown`.
ProcessState process_state(pid_t pid);

}  // namespace railyard::harness
