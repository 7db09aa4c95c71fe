#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <initializer_list>

#include "config/endpoint.h"
#include "railyard/config.h"
#include "railyard/error.h"

namespace railyard {

namespace {

struct Variable {
  std::string name;
  std::string value;
};

// The first of these variables that is set, to whatever value.
std::optional<Variable> find(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* value = std::getenv(name)) return Variable{name, value};
  }
  return std::nullopt;
}

// An empty variable counts as one that is not set.
std::optional<Variable> find_filled(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (auto variable = find({name}); variable && !variable->value.empty()) return variable;
  }
  return std::nullopt;
}

int64_t number(const Variable& variable, int64_t least, const char* mend) {
  int64_t value = 0;
  const char* end = variable.value.data() + variable.value.size();
  auto [rest, status] = std::from_chars(variable.value.data(), end, value);
  if (status != std::errc() || rest != end || value < least) {
    throw ConfigurationError(variable.name, "", fmt::format("'{}' {}", variable.value, mend));
  }
  return value;
}

// A rank, or how many there are of something.
int whole(const Variable& variable, int64_t least, const char* mend) {
  return static_cast<int>(std::min<int64_t>(number(variable, least, mend), 1 << 30));
}

bool truth(const Variable& variable) {
  std::string value = variable.value;
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* no : {"", "0", "false", "no", "off"}) {
    if (value == no) return false;
  }
  for (const char* yes : {"1", "true", "yes", "on"}) {
    if (value == yes) return true;
  }
  throw ConfigurationError(variable.name, "",
                           fmt::format("'{}' is neither yes nor no; write 1 or 0", variable.value));
}

Backend backend_of(const Variable& variable) {
  for (Backend backend : {Backend::any, Backend::mesh, Backend::ring, Backend::tcp,
                          Backend::tcp_ring, Backend::local}) {
    if (variable.value == name(backend)) return backend;
  }
  throw ConfigurationError(
      variable.name, "",
      fmt::format("'{}' is no backend; write any, mesh, ring, tcp, tcp-ring or local",
                  variable.value));
}

std::chrono::milliseconds milliseconds(const Variable& variable) {
  return std::chrono::milliseconds(
      number(variable, 1, "is not a time; write milliseconds as a positive number"));
}

void require(bool present, const char* names, const Variable& because) {
  if (present) return;
  throw ConfigurationError(
      names, "", fmt::format("is not set, but {} is; set it for every rank", because.name));
}

}  // namespace

std::optional<Config> Config::from_environment(bool coordinator_needed) {
  auto rank = find_filled({"JACCL_RANK", "MLX_RANK"});
  auto coordinator = find_filled({"JACCL_COORDINATOR", "MLX_JACCL_COORDINATOR"});
  auto devices = find_filled({"JACCL_IBV_DEVICES", "MLX_IBV_DEVICES"});
  // MLX_RANK alone is set by MLX's launcher for its other backends too.
  if (!coordinator && !devices && (!rank || rank->name == "MLX_RANK")) return std::nullopt;

  const Variable& because = rank ? *rank : coordinator ? *coordinator : *devices;
  require(rank.has_value(), "JACCL_RANK", because);
  auto size = find_filled({"RAILYARD_SIZE"});
  if (!size) require(devices.has_value(), "JACCL_IBV_DEVICES", because);

  Config config;
  config.rank = whole(*rank, 0, "is not a rank; write a number from 0");
  if (devices) config.devices = load_device_matrix(devices->value);
  if (size) config.ranks = whole(*size, 1, "is no number of ranks; write one from 1");
  if (config.rank >= config.size()) {
    throw ConfigurationError(
        rank->name, "",
        devices ? fmt::format("{} is outside of {}, which has {} rows; ranks are from 0 to {}",
                              config.rank, devices->value, config.size(), config.size() - 1)
                : fmt::format("{} is outside of the group; with {} ranks it is from 0 to {}",
                              config.rank, config.size(), config.size() - 1));
  }
  if (config.size() > 1 && (coordinator || coordinator_needed)) {
    require(coordinator.has_value(), "JACCL_COORDINATOR", because);
    config::parse_endpoint(coordinator->name, coordinator->value);
  }
  if (coordinator) config.coordinator = coordinator->value;
  if (auto ring = find({"JACCL_RING", "MLX_JACCL_RING"})) config.prefer_ring = truth(*ring);
  if (auto kind = find_filled({"RAILYARD_BACKEND"})) config.backend = backend_of(*kind);
  if (auto time = find_filled({"RAILYARD_DEADLINE_MS"})) config.deadline = milliseconds(*time);
  if (auto time = find_filled({"RAILYARD_BOOTSTRAP_DEADLINE_MS"})) {
    config.bootstrap_deadline = milliseconds(*time);
  }
  if (auto bytes = find_filled({"RAILYARD_MAX_MESSAGE_BYTES"})) {
    config.max_message_bytes = static_cast<size_t>(
        number(*bytes, 4096, "is not a size; write bytes as a number of at least 4096"));
  }
  if (auto count = find_filled({"RAILYARD_PROCESSORS"})) {
    config.processors = whole(*count, 1, "is no number of processors; write one from 1");
  }
  config.check(coordinator_needed);
  return config;
}

}  // namespace railyard
