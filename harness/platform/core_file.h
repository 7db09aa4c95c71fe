// Where the system leaves the memory image of a process that crashed.
#pragma once

#include <sys/types.h>

#include <string>

namespace railyard::harness {

// The image of a process that ran in `directory`, "": there is none, or a program of the system's
// took it.
std::string core_file(pid_t pid, const std::string& directory);
// The same on a system that names them by `pattern` (core(5)).
std::string core_file(const std::string& pattern, pid_t pid, const std::string& directory);

}  // namespace railyard::harness
