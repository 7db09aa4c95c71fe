// What runs on a host: it starts a rank, tells of it, and ends it when the harness is gone.
#pragma once

#include <string>

namespace railyard::harness {

// Speaks protocol.md over these descriptors until the other side ends; `self` is the path of the
// program, which it runs with "--inspect" to look at the host's devices. Returns the exit code.
int run_agent(int input, int output, const std::string& self);

}  // namespace railyard::harness
