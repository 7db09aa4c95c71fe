// process_state.h where the system offers nothing portable: only whether the process is there.
#include <signal.h>

#include <cerrno>

#include "platform/process_state.h"

namespace railyard::harness {

ProcessState process_state(pid_t pid) {
  ProcessState state;
  if (kill(pid, 0) != 0 && errno == ESRCH) state.kind = ProcessState::Kind::gone;
  return state;
}

}  // namespace railyard::harness
