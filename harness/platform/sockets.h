// What the system says about the sockets of running processes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace railyard::harness {

// Ports on which the process listens, TCP's and the simulated connection manager's; nullopt where
// the system does not tell.
std::optional<std::vector<uint16_t>> listening_ports(pid_t pid);

// Whether the TCP connections of these processes all end at one of them: then nobody else can end a
// wait for one. False where the system does not tell.
bool among_themselves(const std::vector<pid_t>& processes);

}  // namespace railyard::harness
