// Cables found by trying.
#include <fmt/format.h>

#include <algorithm>

#include "railyard/topology.h"

namespace railyard::harness {

fabric::ClusterSpec match_cables(const std::vector<fabric::NodeSpec>& hosts, const Joined& joined) {
  fabric::ClusterSpec cluster;
  cluster.nodes = hosts;
  std::vector<std::string> devices;
  for (const fabric::NodeSpec& host : hosts) {
    devices.insert(devices.end(), host.devices.begin(), host.devices.end());
  }
  if (std::string profile = profile_for(devices); !profile.empty()) cluster.profile = profile;
  std::vector<std::string> taken;
  auto end = [&](size_t host, const std::string& device) {
    return hosts[host].name + "/" + device;
  };
  auto free = [&](const std::string& plug) {
    return std::find(taken.begin(), taken.end(), plug) == taken.end();
  };
  // A device that reaches two is plugged into a switch, and so is whatever it reaches.
  auto reaches_more = [&](size_t a, const std::string& device, size_t b, const std::string& found) {
    for (size_t c = 0; c < hosts.size(); ++c) {
      for (const std::string& other : hosts[c].devices) {
        if (c == a || (c == b && other == found)) continue;
        return joined(a, device, c, other);
      }
    }
    return false;
  };
  auto cable = [&](const std::string& a, const std::string& b) {
    cluster.cables.push_back({fmt::format("c{}", cluster.cables.size() + 1), {a, b}});
    taken.push_back(a);
    taken.push_back(b);
  };
  auto plug_into_switch = [&](size_t a, const std::string& device) {
    cluster.switches = {"switch"};
    cable(end(a, device), "switch");
    for (size_t c = 0; c < hosts.size(); ++c) {
      for (const std::string& other : hosts[c].devices) {
        if (c == a || !free(end(c, other)) || !joined(a, device, c, other)) continue;
        cable(end(c, other), "switch");
      }
    }
  };

  for (size_t a = 0; a < hosts.size(); ++a) {
    for (const std::string& device : hosts[a].devices) {
      for (size_t b = a + 1; b < hosts.size() && free(end(a, device)); ++b) {
        for (const std::string& other : hosts[b].devices) {
          if (!free(end(b, other)) || !joined(a, device, b, other)) continue;
          if (cluster.switches.empty() && reaches_more(a, device, b, other)) {
            plug_into_switch(a, device);
          } else {
            cable(end(a, device), end(b, other));
          }
          break;
        }
      }
    }
  }
  return cluster;
}

}  // namespace railyard::harness
