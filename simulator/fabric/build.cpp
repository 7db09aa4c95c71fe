#include "fabric/build.h"

#include <fmt/format.h>
#include <infiniband/verbs.h>

#include <cstring>
#include <map>

#include "fabric/profile_loader.h"
#include "fabric/topology.h"

namespace railyard::fabric {

using namespace layout;

namespace {

void name_it(char (&out)[kNameBytes], const std::string& name) {
  memset(out, 0, sizeof out);
  memcpy(out, name.data(), std::min(name.size(), sizeof out - 1));
}

void check_name(const std::string& place, const std::string& name) {
  if (name.empty()) throw Error(fmt::format("{}: the name is empty", place));
  if (name.size() >= kNameBytes) {
    throw Error(fmt::format("{}: '{}' is longer than {} characters", place, name, kNameBytes - 1));
  }
}

std::string joined(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

// Where each plug of a specification goes, checked.
class Plan {
 public:
  struct End {
    int32_t port = kNowhere, switch_index = kNowhere;
  };

  Plan(const ClusterSpec& spec, const Profile& profile) : spec_(spec) {
    if (spec.nodes.empty()) throw Error("nodes: a cluster needs at least one");
    std::map<std::string, int> names;
    int32_t next_port = 0;
    for (size_t i = 0; i < spec.nodes.size(); ++i) {
      const NodeSpec& node = spec.nodes[i];
      std::string place = fmt::format("nodes/{}", i);
      check_name(place, node.name);
      if (node.name.find('/') != std::string::npos) {
        throw Error(fmt::format("{}: '{}': a node's name has no slash", place, node.name));
      }
      if (names[node.name]++) throw Error(fmt::format("{}: a second '{}'", place, node.name));
      for (const std::string& device : node.devices) {
        check_name(place, device);
        if (!ports_.emplace(node.name + "/" + device, next_port++).second) {
          throw Error(fmt::format("{}: a second device '{}'", place, device));
        }
      }
    }
    for (size_t i = 0; i < spec.switches.size(); ++i) {
      check_name(fmt::format("switches/{}", i), spec.switches[i]);
      if (profile.point_to_point) {
        throw Error(
            fmt::format("switches/{}: {} is point to point, it has no switches", i, profile.name));
      }
      if (names[spec.switches[i]]++) {
        throw Error(fmt::format("switches/{}: a second '{}'", i, spec.switches[i]));
      }
    }
    std::map<std::string, std::string> used;
    std::map<std::string, int> cable_names;
    for (const CableSpec& cable : spec.cables) {
      check_name("cables", cable.name);
      if (cable_names[cable.name]++)
        throw Error(fmt::format("cables/{}: a second one", cable.name));
      for (int end : {0, 1}) {
        std::string place = fmt::format("cables/{}/{}", cable.name, end);
        End found = resolve(place, cable.ends[end]);
        if (found.port != kNowhere) {
          auto [other, fresh] = used.emplace(cable.ends[end], cable.name);
          if (!fresh) {
            throw Error(fmt::format("{}: {} is already on cable {}", place, cable.ends[end],
                                    other->second));
          }
        }
        ends_.push_back(found);
      }
      if (ends_.back().port == kNowhere && ends_[ends_.size() - 2].port == kNowhere) {
        throw Error(fmt::format("cables/{}: joins two switches, which do not forward to each other",
                                cable.name));
      }
    }
  }

  End end(size_t cable, int side) const { return ends_[2 * cable + static_cast<size_t>(side)]; }

 private:
  End resolve(const std::string& place, const std::string& plug) const {
    size_t slash = plug.find('/');
    if (slash == std::string::npos) {
      for (size_t i = 0; i < spec_.switches.size(); ++i) {
        if (spec_.switches[i] == plug) return {kNowhere, static_cast<int32_t>(i)};
      }
      throw Error(fmt::format("{}: '{}' is neither node/device nor a switch (switches: {})", place,
                              plug, joined(spec_.switches)));
    }
    auto found = ports_.find(plug);
    if (found != ports_.end()) return {found->second, kNowhere};
    std::string node_name = plug.substr(0, slash);
    std::vector<std::string> names;
    for (const NodeSpec& node : spec_.nodes) {
      if (node.name == node_name) {
        throw Error(fmt::format("{}: {} has no device '{}' (it has {})", place, node_name,
                                plug.substr(slash + 1), joined(node.devices)));
      }
      names.push_back(node.name);
    }
    throw Error(
        fmt::format("{}: there is no node '{}' (nodes: {})", place, node_name, joined(names)));
  }

  const ClusterSpec& spec_;
  std::map<std::string, int32_t> ports_;
  std::vector<End> ends_;
};

// Locally administered, one a port, so that addresses tell in a trace whose they are.
uint64_t guid_of(uint32_t node, uint32_t device_on_node) {
  return 0x0252'59ff'fe00'0000 | uint64_t{node} << 8 | device_on_node;  // "RY"
}

void address(Port& port, const Profile& profile, uint64_t guid, uint32_t index, uint32_t node,
             uint32_t device_on_node) {
  port.lid = profile.link_layer == IBV_LINK_LAYER_INFINIBAND ? static_cast<uint16_t>(index + 1) : 0;
  Gid& link_local = port.gids[0];
  link_local.raw[0] = 0xfe;
  link_local.raw[1] = 0x80;
  for (int i = 0; i < 8; ++i) link_local.raw[8 + i] = static_cast<uint8_t>(guid >> (56 - 8 * i));
  link_local.present = 1;
  if (profile.link_layer != IBV_LINK_LAYER_INFINIBAND) link_local.type = IBV_GID_TYPE_ROCE_V1;
  if (!profile.ipv4_gid) return;
  // 169.254.0.0/16 holds what interfaces give themselves on a cable of their own (RFC 3927).
  Gid& mapped = port.gids[1];
  // Node and device, as long as there are no more than 254 nodes; four times as many with 63 devices each.
  const uint32_t last = device_on_node + 63 * (node / 254);
  const uint8_t ipv4[] = {169, 254, static_cast<uint8_t>(1 + node % 254),
                          static_cast<uint8_t>(1 + last % 254)};
  mapped.raw[10] = mapped.raw[11] = 0xff;
  memcpy(mapped.raw + 12, ipv4, sizeof ipv4);
  mapped.present = 1;
  mapped.type = IBV_GID_TYPE_ROCE_V2;
}

void fill_nodes(const Segment& segment, const ClusterSpec& spec) {
  uint32_t next = 0;
  for (uint32_t i = 0; i < spec.nodes.size(); ++i) {
    Node& node = segment.node(i);
    name_it(node.name, spec.nodes[i].name);
    node.first_device = next;
    node.device_count = static_cast<uint32_t>(spec.nodes[i].devices.size());
    for (uint32_t own = 0; own < node.device_count; ++own, ++next) {
      Device& device = segment.device(next);
      name_it(device.name, spec.nodes[i].devices[own]);
      device.node = i;
      device.port = next;
      device.guid = guid_of(i, own);
      Port& port = segment.port(next);
      port.device = next;
      port.number = 1;
      address(port, segment.profile(), device.guid, next, i, own);
    }
  }
}

void fill_cables(const Segment& segment, const ClusterSpec& spec, const Plan& plan) {
  for (uint32_t i = 0; i < spec.switches.size(); ++i) {
    name_it(segment.switch_at(i).name, spec.switches[i]);
  }
  for (uint32_t i = 0; i < spec.cables.size(); ++i) {
    Cable& cable = segment.cable(i);
    name_it(cable.name, spec.cables[i].name);
    cable.plugged.store(1);
    for (int side : {0, 1}) {
      Plan::End end = plan.end(i, side);
      cable.ends[side].port.store(end.port);
      cable.ends[side].switch_index.store(end.switch_index);
      cable.original_ports[side] = end.port;
      cable.original_switches[side] = end.switch_index;
    }
  }
}

}  // namespace

void check(const ClusterSpec& spec) {
  Plan(spec, load_profile(spec.profile, spec.profile_overrides));
}

Segment build(const std::string& segment_name, const ClusterSpec& spec) {
  Profile profile = load_profile(spec.profile, spec.profile_overrides);
  Plan plan(spec, profile);
  uint32_t devices = 0;
  for (const NodeSpec& node : spec.nodes) devices += static_cast<uint32_t>(node.devices.size());
  Segment segment = Segment::create(
      segment_name,
      {static_cast<uint32_t>(spec.nodes.size()), devices, static_cast<uint32_t>(spec.cables.size()),
       static_cast<uint32_t>(spec.switches.size())},
      profile);
  fill_nodes(segment, spec);
  fill_cables(segment, spec, plan);
  segment.publish();
  return segment;
}

std::string default_device_name(const std::string& profile_name, int index) {
  Profile profile = load_profile(profile_name, "");
  return fmt::format("{}{}", profile.device_prefix, profile.device_first + index);
}

ClusterSpec default_cluster(const std::string& profile_name, int nodes, int rails) {
  if (nodes < 1 || rails < 1) throw Error("a cluster needs at least one node and one rail");
  Profile profile = load_profile(profile_name, "");
  ClusterSpec spec;
  spec.profile = profile_name;
  auto device_name = [&](size_t index) {
    return fmt::format("{}{}", profile.device_prefix,
                       profile.device_first + static_cast<int>(index));
  };
  for (int i = 0; i < nodes; ++i) spec.nodes.push_back({fmt::format("node{}", i), {}});
  auto add_device = [&](int node) {
    auto& devices = spec.nodes[static_cast<size_t>(node)].devices;
    devices.push_back(device_name(devices.size()));
    return fmt::format("node{}/{}", node, devices.back());
  };
  auto add_cable = [&](const std::string& first, const std::string& second) {
    spec.cables.push_back({fmt::format("c{}", spec.cables.size() + 1), {first, second}});
  };
  if (!profile.point_to_point) {
    spec.switches.push_back("switch0");
    for (int node = 0; node < nodes; ++node) {
      for (int rail = 0; rail < rails; ++rail) add_cable(add_device(node), "switch0");
    }
    return spec;
  }
  if (nodes == 1) add_device(0);
  for (int first = 0; first < nodes; ++first) {
    for (int second = first + 1; second < nodes; ++second) {
      for (int rail = 0; rail < rails; ++rail) {
        std::string plug = add_device(first);
        add_cable(plug, add_device(second));
      }
    }
  }
  return spec;
}

}  // namespace railyard::fabric
