#include "diagnosis/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace railyard::harness {

namespace {

template <typename T>
const T* at(const std::vector<T>& items, int index) {
  return index >= 0 && static_cast<size_t>(index) < items.size()
             ? &items[static_cast<size_t>(index)]
             : nullptr;
}

}  // namespace

std::string View::device_name(int device) const {
  const fabric::DeviceView* view = at(snapshot_.devices, device);
  return view ? view->name : "?";
}

std::string View::port_name(int port) const {
  const fabric::PortView* view = at(snapshot_.ports, port);
  const fabric::DeviceView* device = view ? at(snapshot_.devices, view->device) : nullptr;
  if (!device) return "no port";
  const std::string* node = at(evidence_.node_names, device->node);
  return fmt::format("{}/{}", node ? *node : "?", device->name);
}

std::string View::cable_name(int cable) const {
  const fabric::CableView* view = at(snapshot_.cables, cable);
  return view ? view->name : "no cable";
}

int View::rank_of_process(int process) const {
  const fabric::ProcessView* view = at(snapshot_.processes, process);
  return view ? view->node : -1;
}

int View::rank_of(const fabric::QueuePairView& pair) const { return rank_of_process(pair.process); }

const RankEvidence* View::rank(int rank) const { return at(evidence_.ranks, rank); }

int View::port_of(const fabric::QueuePairView& pair) const {
  const fabric::DeviceView* device = at(snapshot_.devices, pair.device);
  return device ? device->port : -1;
}

int View::peer_rank_of(const fabric::QueuePairView& pair) const {
  if (const auto* peer = at(snapshot_.queue_pairs, pair.peer)) return rank_of(*peer);
  const fabric::PortView* port = at(snapshot_.ports, pair.peer_port);
  const fabric::DeviceView* device = port ? at(snapshot_.devices, port->device) : nullptr;
  return device ? device->node : -1;
}

int View::rail_of(const fabric::QueuePairView& pair) const {
  std::set<int> lower;  // several queue pairs may share a port
  for (const fabric::QueuePairView& other : snapshot_.queue_pairs) {
    if (other.process == pair.process && port_of(other) < port_of(pair) &&
        peer_rank_of(other) == peer_rank_of(pair)) {
      lower.insert(port_of(other));
    }
  }
  return static_cast<int>(lower.size());
}

int View::cable_of_port(int port) const {
  const fabric::PortView* view = at(snapshot_.ports, port);
  return view ? view->cable : -1;
}

int View::far_end(int port) const {
  const fabric::CableView* cable = at(snapshot_.cables, cable_of_port(port));
  if (!cable) return -1;
  return cable->ports[0] == port ? cable->ports[1] : cable->ports[0];
}

bool View::plugged(int cable) const {
  const fabric::CableView* view = at(snapshot_.cables, cable);
  return view && view->plugged;
}

int View::port_of_device(int node, const std::string& device) const {
  for (const fabric::DeviceView& view : snapshot_.devices) {
    if (view.node == node && view.name == device) return view.port;
  }
  return -1;
}

std::string View::describe(const fabric::QueuePairView& pair) const {
  return fmt::format("queue pair {} of rank {} on {} (rail {} to rank {})", pair.number,
                     rank_of(pair), port_name(port_of(pair)), rail_of(pair), peer_rank_of(pair));
}

void add_name(Diagnosis& diagnosis, const std::string& name) {
  auto& names = diagnosis.names;
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

}  // namespace railyard::harness
