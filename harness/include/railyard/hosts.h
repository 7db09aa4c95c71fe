// Real machines that scenarios run on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "railyard/input_error.h"
#include "railyard/scenario.h"

namespace railyard::harness {

struct HostOptions {
  std::string file;      // a hostfile
  std::string launcher;  // "ssh", "mpirun" or "srun": what starts Railyard's agent on the hosts
  bool devices_needed = true;  // of hosts that ranks will run on
  std::string hand_command;    // run instead of asking somebody to move a plug; for tests
};

class RemoteHosts;
class Hosts;

// What hosts have, and how it is cabled.
struct Discovery {
  fabric::ClusterSpec cluster;  // hosts by their ssh names, with their active devices
  std::string table;            // for people: a line per device
};

// Sends a message from each device to each device of the others until all ends are found; a device
// that refuses to connect has no cable there. The preflight must have found no problem. Blocks for
// about a fifth of a second for each pair that stays silent. Throws std::runtime_error.
Discovery discover(Hosts& hosts);

// Connections to the hosts of a file, kept over a suite. Used by one thread; ends everything that
// it started anywhere when it goes.
class Hosts {
 public:
  // Reads and checks the file; nothing is started. Throws InputError.
  explicit Hosts(const HostOptions& options);
  ~Hosts();
  Hosts(const Hosts&) = delete;

  struct Preflight {
    std::string table;  // for people: a line per host
    // A line per host that cannot be used, with what mends it; empty: all can.
    std::vector<std::string> problems;
    // Whether the file is to blame for all of them, not the hosts.
    bool bad_input = false;
  };
  // Reaches every host, puts Railyard on it where it is not there yet, and looks at what it has.
  // Blocks for seconds.
  Preflight preflight();

  // Why a scenario cannot run on these hosts, in words; empty: it can.
  std::string obstacle(const Scenario& scenario) const;

  RemoteHosts& remote() { return *remote_; }

 private:
  std::unique_ptr<RemoteHosts> remote_;
};

}  // namespace railyard::harness
