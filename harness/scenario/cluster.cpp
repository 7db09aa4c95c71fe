// The "cluster" section: profile, nodes, switches, cables.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "railyard/nearest.h"
#include "scenario/sections.h"

namespace railyard::harness {

namespace {

constexpr uint64_t kMostNodes = 1024;

std::string read_profile(const Reader& reader) {
  std::string name = reader.text();
  std::vector<std::string> shipped = fabric::shipped_profiles();
  if (std::find(shipped.begin(), shipped.end(), name) != shipped.end()) return name;
  bool is_path = name.find('/') != std::string::npos || name.find(".json") != std::string::npos;
  if (!is_path) {
    reader.fail(fmt::format("there is no profile '{}'; {}", name, suggest(name, shipped)));
  }
  std::string path = beside(reader.file(), name);
  if (!std::filesystem::exists(path)) {
    reader.fail(fmt::format("there is no profile file '{}'; check the path", path));
  }
  return path;
}

// The nodes, and whether their devices are written out.
bool read_nodes(const Reader& reader, std::vector<fabric::NodeSpec>& nodes) {
  if (reader.is_number()) {
    uint64_t count = reader.whole(1, kMostNodes);
    for (uint64_t i = 0; i < count; ++i) nodes.push_back({fmt::format("node{}", i), {}});
    return false;
  }
  if (!reader.is_array()) {
    reader.fail("nodes are a number, or an array of names or of {\"name\", \"devices\"} objects");
  }
  bool devices_given = false;
  for (const Reader& entry : reader.elements()) {
    fabric::NodeSpec node;
    if (entry.is_text()) {
      node.name = entry.text();
    } else {
      entry.object({"name", "devices"});
      node.name = entry.at("name").text();
      if (entry.has("devices")) {
        node.devices = entry.at("devices").texts();
        devices_given = true;
      }
    }
    for (const fabric::NodeSpec& other : nodes) {
      if (other.name == node.name)
        entry.fail(fmt::format("a second node '{}'; rename one", node.name));
    }
    nodes.push_back(std::move(node));
  }
  if (nodes.empty()) reader.fail("a cluster needs at least one node; add one");
  return devices_given;
}

struct CableReader {
  fabric::ClusterSpec& spec;
  bool devices_given;
  std::map<std::string, std::string> used;  // port -> the cable on it

  fabric::NodeSpec& node_of(const Reader& end, const std::string& name) {
    std::vector<std::string> names;
    for (fabric::NodeSpec& node : spec.nodes) {
      if (node.name == name) return node;
      names.push_back(node.name);
    }
    end.fail(fmt::format("there is no node '{}'; {}", name, suggest(name, names)));
  }

  void read_end(const Reader& end, const std::string& cable) {
    std::string plug = end.text();
    size_t slash = plug.find('/');
    if (slash == std::string::npos) {
      if (std::find(spec.switches.begin(), spec.switches.end(), plug) != spec.switches.end())
        return;
      end.fail(fmt::format("'{}' names no device; write node/device ('node0/rdma_en3') or a switch",
                           plug));
    }
    fabric::NodeSpec& node = node_of(end, plug.substr(0, slash));
    std::string device = plug.substr(slash + 1);
    if (std::find(node.devices.begin(), node.devices.end(), device) == node.devices.end()) {
      if (devices_given) {
        end.fail(fmt::format("{} has no device '{}'; {}", node.name, device,
                             suggest(device, node.devices)));
      }
      if (device.empty()) end.fail("the device's name is empty; write node/device");
      node.devices.push_back(device);
    }
    auto [other, fresh] = used.emplace(plug, cable);
    if (!fresh) {
      end.fail(fmt::format("{} is already used by cable '{}'; a device has one port for one cable",
                           plug, other->second));
    }
  }

  void read(const Reader& reader) {
    for (const auto& [name, ends] : reader.members()) {
      std::vector<Reader> both = ends.elements();
      if (both.size() != 2) ends.fail(fmt::format("a cable has two ends, not {}", both.size()));
      read_end(both[0], name);
      read_end(both[1], name);
      spec.cables.push_back({name, {both[0].text(), both[1].text()}});
    }
  }
};

// Cables as the profile's users would lay them, between the nodes as they are named.
void cable_by_default(const Reader& reader, fabric::ClusterSpec& spec, int rails) {
  std::vector<std::string> names;
  for (const fabric::NodeSpec& node : spec.nodes) names.push_back(node.name);
  fabric::ClusterSpec made =
      fabric::default_cluster(spec.profile, static_cast<int>(names.size()), rails);
  std::map<std::string, std::string> renamed;
  for (size_t i = 0; i < names.size(); ++i) {
    renamed[made.nodes[i].name] = names[i];
    made.nodes[i].name = names[i];
  }
  for (fabric::CableSpec& cable : made.cables) {
    for (std::string& end : cable.ends) {
      size_t slash = end.find('/');
      if (slash != std::string::npos) end = renamed[end.substr(0, slash)] + end.substr(slash);
    }
  }
  if (!spec.switches.empty()) reader.fail("switches need cables that lead to them; add \"cables\"");
  made.profile_overrides = std::move(spec.profile_overrides);
  spec = std::move(made);
}

// Every node's right devices to the next one's left devices; c1, c2, ... in the order of (node,
// rail).
void cable_as_ring(fabric::ClusterSpec& spec, int rails) {
  size_t count = spec.nodes.size(), cables = count == 2 ? 1 : count;
  auto device = [&](int rail, bool right) {
    return fabric::default_device_name(spec.profile, 2 * rail + right);
  };
  for (fabric::NodeSpec& node : spec.nodes) {
    for (int i = 0; i < 2 * rails; ++i)
      node.devices.push_back(fabric::default_device_name(spec.profile, i));
  }
  for (size_t i = 0; i < cables && count > 1; ++i) {
    for (int rail = 0; rail < rails; ++rail) {
      const std::string &here = spec.nodes[i].name, &next = spec.nodes[(i + 1) % count].name;
      spec.cables.push_back({fmt::format("c{}", spec.cables.size() + 1),
                             {here + "/" + device(rail, true), next + "/" + device(rail, false)}});
    }
  }
}

}  // namespace

Cluster read_cluster(const Reader& reader) {
  reader.object(
      {"$schema", "profile", "overrides", "nodes", "switches", "rails", "cables", "link"});
  Cluster cluster;
  fabric::ClusterSpec& spec = cluster.spec;
  if (reader.has("profile")) spec.profile = read_profile(reader.at("profile"));
  if (reader.has("overrides")) {
    Reader overrides = reader.at("overrides");
    overrides.members();
    spec.profile_overrides = overrides.json().dump();
  }
  bool devices_given = read_nodes(reader.at("nodes"), spec.nodes);
  cluster.ranks = static_cast<int>(spec.nodes.size());
  if (reader.has("link")) cluster.link = read_link(reader.at("link"));
  if (reader.has("switches")) spec.switches = reader.at("switches").texts();

  int rails = 1;
  if (reader.has("rails")) {
    if (reader.has("cables") && !reader.at("cables").is_text()) {
      reader.at("rails").fail(
          "rails count the cables to lay by default; drop them beside \"cables\"");
    }
    rails = static_cast<int>(reader.at("rails").whole(1, 16));
  }
  try {
    if (reader.has("cables") && reader.at("cables").is_text()) {
      reader.at("cables").one_of({"ring"});
      if (devices_given)
        reader.at("nodes").fail("a ring lays devices of its own; drop \"devices\"");
      cable_as_ring(spec, rails);
    } else if (reader.has("cables")) {
      CableReader{spec, devices_given, {}}.read(reader.at("cables"));
    } else if (!devices_given) {
      cable_by_default(reader, spec, rails);
    }
    fabric::check(spec);
  } catch (const fabric::Error& error) {
    reader.fail(error.what());
  }
  return cluster;
}

Cluster load_cluster(const std::string& file) {
  Json json = parse_json(file, read_file(file));
  Reader whole(file, "", json);
  // A scenario's file serves as well: its cluster is taken.
  return read_cluster(whole.has("cluster") ? whole.at("cluster") : whole);
}

}  // namespace railyard::harness
