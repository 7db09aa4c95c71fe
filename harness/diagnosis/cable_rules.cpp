#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "diagnosis/rules.h"

namespace railyard::harness {

namespace {

// "c1 joins node0/rdma_en3 and node1/rdma_en4"
std::string joins(const View& view, const fabric::CableView& cable) {
  return fmt::format("{} joins {} and {}", cable.name, view.port_name(cable.ports[0]),
                     view.port_name(cable.ports[1]));
}

void name_ports(const View& view, const fabric::CableView& cable, Diagnosis& diagnosis) {
  for (int port : cable.ports) {
    if (port >= 0) add_name(diagnosis, view.port_name(port));
  }
}

bool moved(const fabric::CableView& cable) {
  return cable.ports[0] != cable.original_ports[0] || cable.ports[1] != cable.original_ports[1];
}

bool ranks_failed_to_reach(const View& view) {
  for (const RankEvidence& rank : view.evidence().ranks) {
    if (rank.error && (rank.error->code == "peer-unreachable" || rank.error->code == "device" ||
                       rank.error->code == "deadline-exceeded")) {
      return true;
    }
  }
  return false;
}

// The queue pairs are gone with their processes: what is left is where the cables lie.
std::optional<Diagnosis> crossed_by_plugs(const View& view) {
  if (!ranks_failed_to_reach(view)) return std::nullopt;
  Diagnosis diagnosis{"crossed-rails", "", {}, {}};
  std::vector<std::string> names;
  for (const fabric::CableView& cable : view.snapshot().cables) {
    if (!moved(cable) || !cable.plugged) continue;
    names.push_back(cable.name);
    add_name(diagnosis, cable.name);
    name_ports(view, cable, diagnosis);
    diagnosis.details.push_back(fmt::format("{}, it was laid from {} to {}", joins(view, cable),
                                            view.port_name(cable.original_ports[0]),
                                            view.port_name(cable.original_ports[1])));
  }
  if (names.size() < 2) return std::nullopt;
  diagnosis.headline = fmt::format(
      "the cables {} are crossed: their plugs are exchanged at one end", fmt::join(names, " and "));
  return diagnosis;
}

}  // namespace

std::optional<Diagnosis> crossed_rails(const View& view) {
  Diagnosis diagnosis{"crossed-rails", "", {}, {}};
  std::vector<std::string> cables;
  auto add_cable = [&](int index) {
    std::string name = view.cable_name(index);
    if (std::find(cables.begin(), cables.end(), name) != cables.end()) return;
    cables.push_back(name);
    add_name(diagnosis, name);
    const auto& cable = view.snapshot().cables[static_cast<size_t>(index)];
    name_ports(view, cable, diagnosis);
    diagnosis.details.push_back(joins(view, cable));
  };
  std::vector<std::string> wanted;
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    if (pair.peer_port < 0 || pair.reachable) continue;
    int here = view.port_of(pair);
    int own = view.cable_of_port(here), other = view.cable_of_port(pair.peer_port);
    int far = view.far_end(here);
    // Its cable leads somewhere else, and its peer is at the end of another cable.
    if (own < 0 || other < 0 || own == other || far < 0 || far == pair.peer_port ||
        !view.plugged(own) || !view.plugged(other)) {
      continue;
    }
    add_cable(own);
    add_cable(other);
    add_name(diagnosis, view.port_name(here));
    add_name(diagnosis, view.port_name(pair.peer_port));
    wanted.push_back(fmt::format("{} wants {}, but {} leads to {}", view.describe(pair),
                                 view.port_name(pair.peer_port), view.cable_name(own),
                                 view.port_name(far)));
  }
  if (cables.empty()) return crossed_by_plugs(view);
  diagnosis.details.insert(diagnosis.details.end(), wanted.begin(), wanted.end());
  diagnosis.headline = fmt::format(
      "the rails are crossed over the cables {}: queue pairs talk to ports that lie at the end of "
      "another cable",
      fmt::join(cables, " and "));
  return diagnosis;
}

std::optional<Diagnosis> cable_unplugged(const View& view) {
  Diagnosis diagnosis{"cable-unplugged", "", {}, {}};
  auto add_cable = [&](const fabric::CableView& cable) {
    if (std::find(diagnosis.names.begin(), diagnosis.names.end(), cable.name) !=
        diagnosis.names.end()) {
      return;
    }
    add_name(diagnosis, cable.name);
    std::string ends;
    for (int i = 0; i < 2; ++i) {
      int port = cable.ports[i] >= 0 ? cable.ports[i] : cable.original_ports[i];
      if (port < 0) continue;
      add_name(diagnosis, view.port_name(port));
      ends += (ends.empty() ? "" : " and ") + view.port_name(port);
    }
    diagnosis.headline += fmt::format("{}cable {} between {} is unplugged",
                                      diagnosis.headline.empty() ? "" : "; ", cable.name, ends);
  };
  auto unplugged_at = [&](int port) -> const fabric::CableView* {
    for (const fabric::CableView& cable : view.snapshot().cables) {
      bool here = cable.ports[0] == port || cable.ports[1] == port ||
                  cable.original_ports[0] == port || cable.original_ports[1] == port;
      if (here && !cable.plugged) return &cable;
    }
    return nullptr;
  };
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    if (pair.peer_port < 0 || pair.reachable) continue;
    const fabric::CableView* cable = unplugged_at(view.port_of(pair));
    if (!cable) cable = unplugged_at(pair.peer_port);
    if (!cable) continue;
    add_cable(*cable);
    diagnosis.details.push_back(fmt::format("{} cannot reach {}; {} of its messages are lost",
                                            view.describe(pair), view.port_name(pair.peer_port),
                                            pair.sends_lost));
  }
  if (diagnosis.headline.empty() && ranks_failed_to_reach(view)) {
    for (const fabric::CableView& cable : view.snapshot().cables) {
      if (!cable.plugged) add_cable(cable);
    }
  }
  if (diagnosis.headline.empty()) return std::nullopt;
  return diagnosis;
}

}  // namespace railyard::harness
