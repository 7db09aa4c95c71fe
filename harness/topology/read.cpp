// Cables from the command line, and files told apart by their shape.
#include <fmt/format.h>

#include <algorithm>

#include "railyard/topology.h"
#include "scenario/profile_rules.h"
#include "scenario/sections.h"

namespace railyard::harness {

namespace {

// "en6-B:en7": where the device's name ends is the first dash.
struct CableText {
  const std::string& text;
  size_t at = 0;

  [[noreturn]] void fail() const {
    throw InputError("cable", text, "is no cable; write host:device-host:device, as A:en6-B:en7");
  }

  std::string until(const char* stops) {
    size_t end = *stops == '\0' ? text.size() : text.find_first_of(stops, at);
    if (end == std::string::npos || end == at) fail();
    std::string part = text.substr(at, end - at);
    at = end + 1;
    return part;
  }
};

fabric::NodeSpec& node_named(fabric::ClusterSpec& cluster, const std::string& name) {
  for (fabric::NodeSpec& node : cluster.nodes) {
    if (node.name == name) return node;
  }
  return cluster.nodes.emplace_back(fabric::NodeSpec{name, {}});
}

void name_ranks(Topology& topology) {
  for (size_t i = 0; i < topology.matrix->size(); ++i) {
    topology.hosts.push_back(fmt::format("rank {}", i));
  }
}

void take_hosts(Topology& topology, std::vector<Host> hosts) {
  DeviceMatrix matrix;
  for (const Host& host : hosts) {
    topology.hosts.push_back(host.ssh);
    if (!host.rdma.empty()) matrix.push_back(host.rdma);
  }
  if (!matrix.empty() && matrix.size() != hosts.size()) {
    throw InputError(topology.file, "hosts",
                     "some hosts have 'rdma' and others have not; give every host its row");
  }
  if (!matrix.empty()) topology.matrix = std::move(matrix);
  topology.machines = std::move(hosts);
}

}  // namespace

fabric::ClusterSpec cluster_of_cables(const std::vector<std::string>& texts) {
  fabric::ClusterSpec cluster;
  std::vector<std::string> devices;
  for (const std::string& text : texts) {
    CableText rest{text};
    fabric::CableSpec cable{fmt::format("c{}", cluster.cables.size() + 1), {}};
    for (std::string& end : cable.ends) {
      bool last = &end == &cable.ends[1];
      std::string host = rest.until(":/");
      std::string device = rest.until(last ? "" : "-");
      if (device.find_first_of(":/-") != std::string::npos) rest.fail();
      end = host + "/" + device;
      std::vector<std::string>& known = node_named(cluster, host).devices;
      if (std::find(known.begin(), known.end(), device) != known.end()) {
        throw InputError("cable", text,
                         fmt::format("{} of {} has a cable already; a device has one port for one "
                                     "cable",
                                     device, host));
      }
      known.push_back(device);
      devices.push_back(device);
    }
    cluster.cables.push_back(std::move(cable));
  }
  if (std::string profile = profile_for(devices); !profile.empty()) cluster.profile = profile;
  return cluster;
}

std::string profile_for(const std::vector<std::string>& devices) {
  for (const std::string& profile : fabric::shipped_profiles()) {
    std::string prefix = ProfileRules(profile).device_prefix();
    bool all = std::all_of(devices.begin(), devices.end(),
                           [&](const std::string& device) { return device.starts_with(prefix); });
    if (all && !devices.empty()) return profile;
  }
  return {};
}

Topology load_topology(const std::string& file) {
  Json json = parse_json(file, read_file(file));
  Reader whole(file, "", json);
  Topology topology;
  topology.file = file;
  if (whole.is_array() && (json.empty() || json[0].is_array())) {
    topology.matrix = read_cells(whole);
    if (topology.matrix->empty()) whole.fail("has no rows; write one row for each rank");
    name_ranks(topology);
  } else if (whole.is_array() || whole.has("hosts")) {
    topology.rows = whole.is_array() ? "" : "hosts/";
    take_hosts(topology, read_hosts(whole));
  } else if (whole.has("cluster") || whole.has("nodes")) {
    topology.cluster = read_cluster(whole.has("cluster") ? whole.at("cluster") : whole).spec;
    for (const fabric::NodeSpec& node : topology.cluster->nodes) {
      topology.hosts.push_back(node.name);
    }
  } else {
    whole.fail(
        "is no topology; write a device matrix (an array of rows), a hostfile (with \"hosts\") or "
        "a cluster (with \"nodes\")");
  }
  return topology;
}

fabric::ClusterSpec cluster_of(const Topology& topology) {
  if (topology.cluster) return *topology.cluster;
  if (!topology.matrix) {
    throw InputError(topology.file, "", "names no devices; give hosts their \"rdma\" rows");
  }
  const DeviceMatrix& matrix = *topology.matrix;
  fabric::ClusterSpec cluster;
  std::vector<std::string> all;
  bool switched = false;
  for (size_t i = 0; i < matrix.size(); ++i) {
    fabric::NodeSpec node{topology.hosts[i], {}};
    for (const auto& cell : matrix[i]) {
      for (const std::string& device : cell) {
        bool known =
            std::find(node.devices.begin(), node.devices.end(), device) != node.devices.end();
        switched = switched || known;
        if (!known) node.devices.push_back(device);
      }
    }
    all.insert(all.end(), node.devices.begin(), node.devices.end());
    cluster.nodes.push_back(std::move(node));
  }
  if (std::string profile = profile_for(all); !profile.empty()) cluster.profile = profile;
  auto cable = [&](const std::string& a, const std::string& b) {
    cluster.cables.push_back({fmt::format("c{}", cluster.cables.size() + 1), {a, b}});
  };
  auto end = [&](size_t i, const std::string& device) {
    return cluster.nodes[i].name + "/" + device;
  };
  if (switched) cluster.switches = {"switch"};
  for (size_t i = 0; i < matrix.size(); ++i) {
    for (size_t k = 0; switched && k < cluster.nodes[i].devices.size(); ++k) {
      cable(end(i, cluster.nodes[i].devices[k]), "switch");
    }
    for (size_t j = i + 1; !switched && j < matrix.size(); ++j) {
      if (matrix[i][j].size() != matrix[j][i].size()) {
        throw InputError(topology.file, fmt::format("{}/{}", i, j),
                         "has another number of rails than the cell of the way back; see railyard "
                         "topology check");
      }
      for (size_t k = 0; k < matrix[i][j].size(); ++k) {
        cable(end(i, matrix[i][j][k]), end(j, matrix[j][i][k]));
      }
    }
  }
  return cluster;
}

std::string cluster_text(const fabric::ClusterSpec& cluster) {
  Json nodes = Json::array();
  for (const fabric::NodeSpec& node : cluster.nodes) {
    nodes.push_back(Json{{"name", node.name}, {"devices", node.devices}});
  }
  Json cables = Json::object();
  for (const fabric::CableSpec& cable : cluster.cables) {
    cables[cable.name] = {cable.ends[0], cable.ends[1]};
  }
  Json json{{"profile", cluster.profile}, {"nodes", nodes}};
  if (!cluster.switches.empty()) json["switches"] = cluster.switches;
  json["cables"] = cables;
  return json.dump(2) + "\n";
}

}  // namespace railyard::harness
