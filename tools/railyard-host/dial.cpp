#include "dial.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace railyard::host {

namespace {

// What Open MPI, MPICH and its kin, PMIx, and Slurm call a process's number.
constexpr const char* kNumbers[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK",
                                    "SLURM_PROCID"};

int own_number() {
  for (const char* name : kNumbers) {
    if (const char* value = std::getenv(name)) return std::atoi(value);
  }
  throw std::runtime_error("railyard-host: no launcher has numbered this process");
}

}  // namespace

int dial(const std::string& where, const std::string& token) {
  size_t colon = where.rfind(':');
  if (colon == std::string::npos) throw std::runtime_error("railyard-host: write address:port");
  addrinfo wanted{}, *found = nullptr;
  wanted.ai_socktype = SOCK_STREAM;
  std::string host = where.substr(0, colon), port = where.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (getaddrinfo(host.c_str(), port.c_str(), &wanted, &found) != 0 || !found) {
    throw std::runtime_error(fmt::format("railyard-host: there is no host {}", host));
  }
  int socket = ::socket(found->ai_family, SOCK_STREAM, 0);
  bool connected = socket >= 0 && connect(socket, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (!connected) throw std::runtime_error(fmt::format("railyard-host: cannot reach {}", where));
  nlohmann::json word = {{"is", "joined"}, {"token", token}, {"number", own_number()}};
  std::string line = word.dump() + "\n";
  if (write(socket, line.data(), line.size()) < 0) {
    throw std::runtime_error(fmt::format("railyard-host: {} does not listen", where));
  }
  return socket;
}

}  // namespace railyard::host
