// Which device lies at the other end of which.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "railyard/fabric.h"

namespace railyard::harness {

// A device of a node; node -1: a switch, and `device` its name.
struct Plug {
  int node = -1;
  std::string device;

  bool operator==(const Plug&) const = default;
  auto operator<=>(const Plug&) const = default;
};

// "node0/rdma_en3" as a plug of the cluster.
Plug plug_of(const fabric::ClusterSpec& cluster, const std::string& end);

class Cabling {
 public:
  explicit Cabling(const fabric::ClusterSpec& cluster);

  struct Cable {
    std::string name;
    Plug ends[2];
  };

  const std::vector<Cable>& cables() const { return cables_; }
  // The cable in a port; null: none.
  const Cable* cable_of(const Plug& plug) const;
  // What its cable leads to: a device, a switch, or nothing.
  std::optional<Plug> far_end(const Plug& plug) const;
  // By one cable or through one switch.
  bool connected(const Plug& a, const Plug& b) const;

 private:
  std::vector<Cable> cables_;
  std::map<Plug, size_t> by_plug_;
};

}  // namespace railyard::harness
