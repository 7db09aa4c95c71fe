// In which system call a thread waits for somebody else, and for how long at most. For
// process_state_linux.cpp alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace railyard::harness {

struct WaitingCall {
  const char* name = "";
  int64_t limit_ns = 0;  // ProcessState::kForEver: until somebody else does something; 0: unknown
};

// From a line of /proc/PID/task/TID/syscall; nullopt: it does not wait, or for a time of its own
// choosing.
std::optional<WaitingCall> waiting_call(pid_t pid, const std::string& line);

}  // namespace railyard::harness
