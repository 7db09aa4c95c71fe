// JACCL's interface on Railyard's runtime: code written for JACCL compiles against this header.
// What the functions mean is said in railyard/group.h and railyard/config.h; calls that cannot be
// done throw railyard::Error, a std::runtime_error.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "railyard/group.h"

namespace jaccl {

using Dtype = railyard::Dtype;

// An all-gather that the program has already (its launcher's, say): `output` gets the `bytes` bytes
// of `input` of every rank, in the order of ranks. Ranks then find each other by it, and need no
// coordinator.
using AllGather = std::function<void(const void* input, void* output, size_t bytes)>;
using AllGatherFactory = std::function<AllGather(int rank, int size)>;

class Config {
 public:
  Config() = default;
  explicit Config(railyard::Config config) : config_(std::move(config)) {}
  // What the environment says; not valid (is_valid()) when it says nothing.
  static Config from_env();

  // Setters return *this. Texts that are no number throw.
  Config& set_rank(int rank);
  Config& set_rank(const std::string& rank);
  Config& set_coordinator(std::string coordinator);
  Config& set_devices(railyard::DeviceMatrix devices);
  Config& set_devices_from_file(const std::string& path);
  Config& prefer_ring(bool prefer = true);
  // Set one of the two; the factory is called by init, when rank and size are known.
  Config& set_all_gather(AllGather all_gather);
  Config& set_all_gather_factory(AllGatherFactory factory);

  bool is_valid_mesh() const { return config_.is_valid_mesh(); }
  bool is_valid_ring() const { return config_.is_valid_ring(); }
  bool is_valid() const;

  int get_rank() const { return config_.rank; }
  int get_size() const { return config_.size(); }
  const std::string& get_coordinator() const { return config_.coordinator; }
  bool get_prefer_ring() const { return config_.prefer_ring; }

  // Beyond JACCL: deadlines, backends, everything else.
  const railyard::Config& railyard_config() const { return config_; }
  // The one that was set or that the factory makes; null for none.
  AllGather all_gather() const;

 private:
  railyard::Config config_;
  AllGather all_gather_;
  AllGatherFactory factory_;
};

class Group {
 public:
  explicit Group(std::unique_ptr<railyard::Group> group) : group_(std::move(group)) {}

  int rank() const { return group_->rank(); }
  int size() const { return group_->size(); }

  void all_sum(const void* input, void* output, size_t bytes, Dtype dtype) {
    group_->all_sum(input, output, bytes, dtype);
  }
  void all_max(const void* input, void* output, size_t bytes, Dtype dtype) {
    group_->all_max(input, output, bytes, dtype);
  }
  void all_min(const void* input, void* output, size_t bytes, Dtype dtype) {
    group_->all_min(input, output, bytes, dtype);
  }
  void all_gather(const void* input, void* output, size_t bytes) {
    group_->all_gather(input, output, bytes);
  }
  void sum_scatter(const void* input, void* output, size_t bytes, Dtype dtype) {
    group_->sum_scatter(input, output, bytes, dtype);
  }
  void send(const void* input, size_t bytes, int destination) {
    group_->send(input, bytes, destination);
  }
  void recv(void* output, size_t bytes, int source) { group_->recv(output, bytes, source); }
  void barrier() { group_->barrier(); }

  // Null for a negative colour.
  std::shared_ptr<Group> split(int color, int key = -1);

 private:
  std::unique_ptr<railyard::Group> group_;
};

// Whether this machine has a library for RDMA with a device.
bool is_available();

// Null when not strict and nothing is configured; throws otherwise.
std::shared_ptr<Group> init(bool strict = false);
std::shared_ptr<Group> init(bool strict, AllGatherFactory factory);
std::shared_ptr<Group> init(const Config& config, bool strict = false);

}  // namespace jaccl
