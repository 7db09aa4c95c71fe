#include "dial.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "cluster/ip_address.h"

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
  auto there = harness::IpAddress::of_endpoint(where);
  int socket = ::socket(there.family(), SOCK_STREAM, 0);
  bool connected = socket >= 0 && connect(socket, there.get(), there.size()) == 0;
  if (!connected) throw std::runtime_error(fmt::format("railyard-host: cannot reach {}", where));
  nlohmann::json word = {{"is", "joined"}, {"token", token}, {"number", own_number()}};
  std::string line = word.dump() + "\n";
  if (write(socket, line.data(), line.size()) < 0) {
    throw std::runtime_error(fmt::format("railyard-host: {} does not listen", where));
  }
  return socket;
}

}  // namespace railyard::host
