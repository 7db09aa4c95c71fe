#include "railyard/config.h"

#include <fmt/format.h>

#include "config/device_matrix.h"
#include "config/endpoint.h"
#include "railyard/error.h"

namespace railyard {

const char* name(Backend backend) {
  switch (backend) {
    case Backend::any:
      return "any";
    case Backend::mesh:
      return "mesh";
    case Backend::ring:
      return "ring";
    case Backend::tcp:
      return "tcp";
    case Backend::tcp_ring:
      return "tcp-ring";
    case Backend::local:
      return "local";
  }
  return "unknown";
}

namespace {

// Why the matrix makes no mesh, or nothing.
std::string mesh_problem(const DeviceMatrix& devices) {
  for (size_t i = 0; i < devices.size(); ++i) {
    for (size_t j = 0; j < devices.size(); ++j) {
      if (i != j && devices[i][j].empty()) {
        return fmt::format("a mesh needs a device at row {}, column {}", i, j);
      }
    }
  }
  return {};
}

// Why the matrix makes no ring, or nothing.
std::string ring_problem(const DeviceMatrix& devices) {
  size_t size = devices.size();
  if (size < 2) return {};
  size_t rails = devices[0][1].size();
  for (size_t i = 0; i < size; ++i) {
    size_t right = (i + 1) % size;
    if (devices[i][right].empty()) {
      return fmt::format("a ring needs a device at row {}, column {}", i, right);
    }
    if (devices[i][right].size() != rails) {
      return fmt::format(
          "a ring needs the same number of rails between all neighbours, but row {}, column {} has "
          "{} and row 0, column 1 has {}",
          i, right, devices[i][right].size(), rails);
    }
  }
  return {};
}

}  // namespace

bool Config::is_valid_mesh() const { return !devices.empty() && mesh_problem(devices).empty(); }

bool Config::is_valid_ring() const { return !devices.empty() && ring_problem(devices).empty(); }

void Config::check(bool coordinator_needed) const {
  if (!devices.empty()) config::check_matrix("devices", devices);
  if (devices.empty() && ranks < 1) {
    throw ConfigurationError("devices", "",
                             "are missing; give a device matrix, or the number of ranks for a "
                             "group over TCP");
  }
  if (!devices.empty() && ranks != 0 && ranks != size()) {
    throw ConfigurationError("ranks", "",
                             fmt::format("{} differs from the {} rows of the device matrix; leave "
                                         "it out",
                                         ranks, size()));
  }
  if (rank < 0 || rank >= size()) {
    throw ConfigurationError(
        "rank", "",
        fmt::format("{} is outside of the device matrix; with {} rows it is from 0 to {}", rank,
                    size(), size() - 1));
  }
  if (size() > 1 && (coordinator_needed || !coordinator.empty())) {
    config::parse_endpoint("coordinator", coordinator);
  }
  if (deadline.count() <= 0 || bootstrap_deadline.count() <= 0) {
    throw ConfigurationError("deadline", "", "is not positive; give it in milliseconds");
  }
  choose_backend();
}

Backend Config::choose_backend(std::string* why) const {
  auto choose = [&](Backend chosen, const std::string& reason) {
    if (why) *why = reason;
    return chosen;
  };
  std::string none = devices.empty() ? "there is no device matrix" : "";
  std::string mesh = devices.empty() ? none : mesh_problem(devices);
  std::string ring = devices.empty() ? none : ring_problem(devices);
  auto refuse = [](const std::string& problem) -> Backend {
    throw ConfigurationError("devices", "", problem);
  };
  switch (backend) {
    case Backend::mesh:
      if (!mesh.empty()) return refuse(mesh + "; add it or use a ring");
      return choose(backend, "a mesh was asked for");
    case Backend::ring:
      if (!ring.empty()) return refuse(ring + "; add it or use a mesh");
      return choose(backend, "a ring was asked for");
    case Backend::local:
      if (size() != 1) return refuse(fmt::format("are of {} ranks, a local group has one", size()));
      return choose(backend, "a local group was asked for");
    case Backend::tcp:
    case Backend::tcp_ring:
      return choose(backend, "TCP was asked for");
    case Backend::any:
      break;
  }
  if (size() == 1) return choose(Backend::local, "there is one rank");
  if (prefer_ring && ring.empty()) {
    return choose(Backend::ring, "a ring is preferred and the device matrix has one");
  }
  if (mesh.empty()) {
    return choose(Backend::mesh, prefer_ring ? fmt::format("a ring is preferred, but {}", ring)
                                             : "every pair of ranks has a device to each other");
  }
  if (ring.empty()) return choose(Backend::ring, fmt::format("there is a ring, but {}", mesh));
  Backend tcp = prefer_ring ? Backend::tcp_ring : Backend::tcp;
  if (devices.empty()) return choose(tcp, none);
  return choose(tcp, fmt::format("the devices make neither mesh nor ring: {}, and {}", mesh, ring));
}

}  // namespace railyard
