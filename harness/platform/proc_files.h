// Reading /proc. For the Linux files of this folder alone.
#pragma once

#include <string>
#include <vector>

namespace railyard::harness::proc {

// Empty when the process is gone, at whatever moment: such a read fails half-way.
std::string slurp(const std::string& path);

// The names in a directory; none when the process is gone.
std::vector<std::string> entries(const std::string& directory);

// What a symbolic link says, "" without one.
std::string target(const std::string& link);

}  // namespace railyard::harness::proc
