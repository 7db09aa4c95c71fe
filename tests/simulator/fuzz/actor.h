// A rank of a fuzzed cluster: does what it is told, a verb at a time, and tells what came of it.
#pragma once

namespace railyard::fuzz {

// Serves commands from `socket` until it is told to leave; the process's exit status. `domain_name`
// is a descriptor of the file by which processes of a node share an XRC domain.
int act(int socket, int domain_name);

}  // namespace railyard::fuzz
