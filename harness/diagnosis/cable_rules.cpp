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
    if (rank.signal && !rank.ended_by_harness) return true;
    if (rank.error && (rank.error->code == "peer-unreachable" || rank.error->code == "device" ||
                       rank.error->code == "deadline-exceeded")) {
      return true;
    }
  }
  return false;
}

// Gathers what is crossed: each cable once, with its ports.
class Crossing {
 public:
  explicit Crossing(const View& view) : view_(view) {}

  void add_cable(int index) {
    if (index < 0 || !view_.plugged(index)) return;
    std::string name = view_.cable_name(index);
    if (std::find(cables_.begin(), cables_.end(), name) != cables_.end()) return;
    cables_.push_back(name);
    add_name(diagnosis_, name);
    const auto& cable = view_.snapshot().cables[static_cast<size_t>(index)];
    name_ports(view_, cable, diagnosis_);
    diagnosis_.details.push_back(
        moved(cable) ? fmt::format("{}, it was laid from {} to {}", joins(view_, cable),
                                   view_.port_name(cable.original_ports[0]),
                                   view_.port_name(cable.original_ports[1]))
                     : joins(view_, cable));
  }
  // One side wants the port `wanted`, but its cable leads somewhere else.
  void add(int here, int wanted, const std::string& who) {
    add_cable(view_.cable_of_port(here));
    add_cable(view_.cable_of_port(wanted));
    add_name(diagnosis_, view_.port_name(here));
    add_name(diagnosis_, view_.port_name(wanted));
    lines_.push_back(fmt::format("{} wants {}, but {} leads to {}", who, view_.port_name(wanted),
                                 view_.cable_name(view_.cable_of_port(here)),
                                 view_.port_name(view_.far_end(here))));
  }

  std::optional<Diagnosis> found(const char* several, const char* one) && {
    if (cables_.empty()) return std::nullopt;
    diagnosis_.details.insert(diagnosis_.details.end(), lines_.begin(), lines_.end());
    diagnosis_.headline =
        fmt::format(fmt::runtime(cables_.size() > 1 ? several : one), fmt::join(cables_, " and "));
    return std::move(diagnosis_);
  }

 private:
  const View& view_;
  Diagnosis diagnosis_{"crossed-rails", "", {}, {}};
  std::vector<std::string> cables_, lines_;
};

// Its cable leads to another port than the one that it wants.
bool leads_elsewhere(const View& view, int here, int wanted) {
  int cable = view.cable_of_port(here), far = view.far_end(here);
  return cable >= 0 && far >= 0 && far != wanted && view.plugged(cable);
}

std::optional<Diagnosis> crossed_by_queue_pairs(const View& view) {
  Crossing crossing(view);
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    if (pair.peer_port < 0 || pair.reachable) continue;
    if (leads_elsewhere(view, view.port_of(pair), pair.peer_port)) {
      crossing.add(view.port_of(pair), pair.peer_port, view.describe(pair));
    }
  }
  return std::move(crossing).found(
      "the rails are crossed over the cables {}: queue pairs talk to ports that lie at the end of "
      "another cable",
      "cable {} leads to another port than the one that its queue pairs talk to");
}

// The queue pairs are gone with their processes: what is left is where the cables lie.
std::optional<Diagnosis> crossed_by_plugs(const View& view) {
  Crossing crossing(view);
  const auto& cables = view.snapshot().cables;
  for (size_t i = 0; i < cables.size(); ++i) {
    if (moved(cables[i])) crossing.add_cable(static_cast<int>(i));
  }
  return std::move(crossing).found(
      "the cables {} are crossed: their plugs are exchanged at one end",
      "the plug of cable {} is in another port than before");
}

// A device that refuses the wrong address never gets as far as queue pairs: the device matrix says
// what was wanted.
std::optional<Diagnosis> crossed_by_matrix(const View& view) {
  Crossing crossing(view);
  const DeviceMatrix& matrix = view.evidence().matrix;
  for (size_t i = 0; i < matrix.size(); ++i) {
    for (size_t j = 0; j < matrix.size(); ++j) {
      for (size_t k = 0; i != j && k < matrix[i][j].size() && k < matrix[j][i].size(); ++k) {
        int here = view.port_of_device(static_cast<int>(i), matrix[i][j][k]);
        int wanted = view.port_of_device(static_cast<int>(j), matrix[j][i][k]);
        if (here < 0 || wanted < 0 || !leads_elsewhere(view, here, wanted)) continue;
        crossing.add(here, wanted, fmt::format("rail {} of rank {} to rank {}", k, i, j));
      }
    }
  }
  return std::move(crossing).found(
      "the rails are crossed over the cables {}: the device matrix pairs ports that lie at the "
      "ends of different cables",
      "the device matrix pairs a port of cable {} with one that it does not lead to");
}

}  // namespace

std::optional<Diagnosis> crossed_rails(const View& view) {
  if (auto diagnosis = crossed_by_queue_pairs(view)) return diagnosis;
  if (!ranks_failed_to_reach(view)) return std::nullopt;
  if (auto diagnosis = crossed_by_plugs(view)) return diagnosis;
  return crossed_by_matrix(view);
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
