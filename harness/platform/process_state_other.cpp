// process_state.h where the system offers nothing portable: whether the process is there, and of a
// child whether it is stopped.
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>

#include "platform/process_state.h"

namespace railyard::harness {

ProcessState process_state(pid_t pid) {
  ProcessState state;
  if (kill(pid, 0) != 0 && errno == ESRCH) state.kind = ProcessState::Kind::gone;
  siginfo_t seen{};
  // Not taken: who waits for the child's end learns of it all the same.
  if (waitid(P_PID, static_cast<id_t>(pid), &seen, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
      seen.si_pid == pid && seen.si_code == CLD_STOPPED) {
    state.kind = ProcessState::Kind::stopped;
  }
  return state;
}

}  // namespace railyard::harness
