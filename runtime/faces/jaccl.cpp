#include "jaccl/jaccl.h"

#include <charconv>

#include "group/rendezvous.h"
#include "verbs/library.h"

namespace jaccl {

Config Config::from_env() {
  Config config;
  if (auto found = railyard::Config::from_environment()) config.config_ = *found;
  return config;
}

Config& Config::set_rank(int rank) {
  config_.rank = rank;
  return *this;
}

Config& Config::set_rank(const std::string& rank) {
  const char* end = rank.data() + rank.size();
  int number = 0;
  auto [rest, status] = std::from_chars(rank.data(), end, number);
  if (status != std::errc() || rest != end) {
    throw railyard::ConfigurationError("rank", "", "'" + rank + "' is no number");
  }
  return set_rank(number);
}

Config& Config::set_coordinator(std::string coordinator) {
  config_.coordinator = std::move(coordinator);
  return *this;
}

Config& Config::set_devices(railyard::DeviceMatrix devices) {
  config_.devices = std::move(devices);
  return *this;
}

Config& Config::set_devices_from_file(const std::string& path) {
  return set_devices(railyard::load_device_matrix(path));
}

Config& Config::prefer_ring(bool prefer) {
  config_.prefer_ring = prefer;
  return *this;
}

Config& Config::set_all_gather(AllGather all_gather) {
  all_gather_ = std::move(all_gather);
  return *this;
}

Config& Config::set_all_gather_factory(AllGatherFactory factory) {
  factory_ = std::move(factory);
  return *this;
}

AllGather Config::all_gather() const {
  if (all_gather_ || !factory_) return all_gather_;
  return factory_(get_rank(), get_size());
}

bool Config::is_valid() const {
  try {
    config_.check(/*coordinator_needed=*/!all_gather_ && !factory_);
  } catch (const railyard::ConfigurationError&) {
    return false;
  }
  return is_valid_mesh() || is_valid_ring();
}

std::shared_ptr<Group> Group::split(int color, int key) {
  auto part = group_->split(color, key < 0 ? rank() : key);
  return part ? std::make_shared<Group>(std::move(part)) : nullptr;
}

bool is_available() {
  try {
    int count = 0;
    ibv_device** devices = railyard::library().get_device_list(&count);
    if (devices) railyard::library().free_device_list(devices);
    return count > 0;
  } catch (const railyard::Error&) {
    return false;
  }
}

std::shared_ptr<Group> init(bool strict) {
  auto group = railyard::init(strict);
  return group ? std::make_shared<Group>(std::move(group)) : nullptr;
}

std::shared_ptr<Group> init(const Config& config, bool strict) {
  if (!strict && !config.is_valid()) return nullptr;
  AllGather all_gather = config.all_gather();
  return std::make_shared<Group>(all_gather
                                     ? railyard::create_by(config.railyard_config(), all_gather)
                                     : railyard::Group::create(config.railyard_config()));
}

// The environment says which rank this is and what devices it has, if not where rank 0 listens.
std::shared_ptr<Group> init(bool strict, AllGatherFactory factory) {
  if (!factory) return init(strict);
  auto found = railyard::Config::from_environment(/*coordinator_needed=*/false);
  if (!found) return init(strict);
  Config config(*found);
  config.set_all_gather_factory(std::move(factory));
  return init(config, strict);
}

}  // namespace jaccl
