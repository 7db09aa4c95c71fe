// A rank of a fuzzed cluster: does what it is told, a verb at a time, and tells what came of it.
#pragma once

namespace railyard::fuzz {

// Serves commands from `socket` until it is told to leave; the process's exit status.
int act(int socket);

}  // namespace railyard::fuzz
