// Which process is which, and whether it still lives.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace railyard::platform {

// A number that tells two processes apart which had the same pid one after the other; 0: no such
// process, or the system does not say.
uint64_t process_start_time(pid_t pid);

// Whether the process with this pid and start time (0: whichever has the pid now) still runs. A
// zombie counts as gone; one that the system does not tell of, for want of descriptors, as there.
bool process_alive(pid_t pid, uint64_t start_time = 0);

// How many processors this process may use, as its affinity says where the system has one; at
// least 1.
int usable_processors();

}  // namespace railyard::platform
