// The hosts of a hardware run: an MLX hostfile with Railyard's additions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "railyard/scenario.h"

namespace railyard::harness {

// How the state of a cable is changed without a hand: commands for this machine's shell.
struct HostCable {
  std::string ends[2];  // "<ssh name>/<device>"
  std::string unplug, plug;
};

struct HostEntry {
  Host host;
  std::string directory;  // where Railyard is installed there; empty: found, or copied
  std::string library;    // the device's own verbs library; empty: the system's
  std::vector<std::pair<std::string, std::string>> environment;  // of the ranks there
};

struct HostPlan {
  std::string file;
  std::vector<HostEntry> hosts;
  std::vector<HostCable> cables;
  bool hand = false;  // somebody is there who can move plugs

  // The hosts' rows, as the matrix of the first `ranks` of them.
  DeviceMatrix matrix(int ranks) const;
};

// Reads and checks. Throws InputError.
// Where no ranks will run, hosts need not name their devices.
HostPlan load_host_plan(const std::string& file, bool devices_needed = true);

// How a scenario's cluster lies on the hosts: rank k is host k, rail k of a pair is rail k there.
class Placement {
 public:
  Placement(const Scenario& scenario, const HostPlan& plan);

  // Why the scenario cannot run on these hosts; empty: it can.
  const std::string& obstacle() const { return obstacle_; }

  // What ranks are told: the scenario's pairs and rails with the hosts' devices.
  const DeviceMatrix& matrix() const { return matrix_; }
  // "node0/rdma_en3" of the scenario as the host's device, or the same name where it has no rail.
  std::string device(const std::string& port) const;
  // The other way: a device of a rank's host as the scenario's port, "" where it has none.
  std::string port(int rank, const std::string& device) const;
  // The host's cable of a scenario's, or nullptr: nobody told of it.
  const HostCable* cable(const std::string& name) const;
  // "n0/rdma_en2 - n1/rdma_en2"
  std::string cable_text(const std::string& name) const;

 private:
  void place();
  std::string find_obstacle() const;

  const Scenario& scenario_;
  const HostPlan& plan_;
  DeviceMatrix matrix_;
  std::vector<std::pair<std::string, std::string>>
      devices_;  // the scenario's port, the host's device
  std::string obstacle_;
};

}  // namespace railyard::harness
