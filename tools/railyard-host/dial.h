// Reaching the harness when a cluster's launcher, not ssh, has started this program.
#pragma once

#include <string>

namespace railyard::host {

// Connects to "address:port" and says who it is: the token, and its number among those that the
// launcher started. Returns the socket; throws std::runtime_error.
int dial(const std::string& where, const std::string& token);

}  // namespace railyard::host
