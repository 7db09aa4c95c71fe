// A scenario's cluster laid on hosts, or why it cannot be.
#include <fmt/format.h>

#include <algorithm>

#include "faults/rules.h"
#include "hardware/hosts.h"
#include "hardware/profile_limits.h"
#include "scenario/profile_rules.h"

namespace railyard::harness {

namespace {

std::string node_name(const Scenario& scenario, size_t rank) {
  return scenario.cluster.spec.nodes[rank].name;
}

// Whether connections on the scenario's devices send again what was lost.
bool is_reliable(const Scenario& scenario) {
  return ProfileRules(scenario.cluster.spec.profile).names("transports", "RC");
}

}  // namespace

Placement::Placement(const Scenario& scenario, const HostPlan& plan)
    : scenario_(scenario), plan_(plan) {
  if (static_cast<size_t>(scenario.cluster.ranks) > plan.hosts.size()) {
    obstacle_ = fmt::format("it takes {} hosts, {} names {}", scenario.cluster.ranks, plan.file,
                            plan.hosts.size());
    return;
  }
  place();
  if (obstacle_.empty()) obstacle_ = find_obstacle();
}

void Placement::place() {
  DeviceMatrix cabled = matrix_of(scenario_.cluster.spec, 0);
  DeviceMatrix there = plan_.matrix(scenario_.cluster.ranks);
  for (size_t i = 0; i < cabled.size(); ++i) {
    for (size_t j = 0; j < cabled.size(); ++j) {
      for (size_t k = 0; k < cabled[i][j].size() && k < there[i][j].size(); ++k) {
        devices_.emplace_back(node_name(scenario_, i) + "/" + cabled[i][j][k], there[i][j][k]);
      }
    }
  }
  matrix_ = scenario_.group.matrix
                ? *scenario_.group.matrix
                : matrix_of(scenario_.cluster.spec, scenario_.group.rails.value_or(0));
  for (size_t i = 0; i < matrix_.size(); ++i) {
    for (size_t j = 0; j < matrix_.size(); ++j) {
      for (std::string& name : matrix_[i][j]) {
        // A device behind a switch has many peers, and on the hosts perhaps one for each.
        const auto& rails = cabled[i][j];
        auto rail =
            static_cast<size_t>(std::find(rails.begin(), rails.end(), name) - rails.begin());
        std::string here = rail < rails.size() && rail < there[i][j].size()
                               ? there[i][j][rail]
                               : device(node_name(scenario_, i) + "/" + name);
        if (here.empty() && obstacle_.empty()) {
          obstacle_ = fmt::format("{} has no rail to {} for its {}/{}", plan_.hosts[i].host.ssh,
                                  plan_.hosts[j].host.ssh, node_name(scenario_, i), name);
        }
        name = here;
      }
    }
  }
}

std::string Placement::find_obstacle() const {
  if (scenario_.cluster.link) return "a real link cannot be shaped";
  std::string reason;
  profile_limits(scenario_, reason);
  if (!reason.empty()) return reason;
  for (const FaultPlan& fault : scenario_.faults) {
    if (std::string why = obstacle_on_hosts(fault); !why.empty()) return why;
    if (fault.kind == FaultKind::message_drop && is_reliable(scenario_)) {
      return "on a reliable connection a lost message is sent again, and one never posted is not";
    }
    if (!fault.port.empty() && !moves_plugs(fault) && device(fault.port).empty()) {
      return fmt::format("the hosts have no rail for {}", fault.port);
    }
    if (!moves_plugs(fault) || plan_.hand) continue;
    bool simple = fault.kind == FaultKind::cable_unplug || fault.kind == FaultKind::cable_plug;
    for (const std::string& name : fault.cables) {
      const HostCable* found = cable(name);
      if (simple && found && !found->unplug.empty()) continue;
      return fmt::format("{} of {} takes a hand, and the hosts have none", fault.name, name);
    }
  }
  return "";
}

std::string Placement::device(const std::string& port) const {
  for (const auto& [scenarios, hosts] : devices_) {
    if (scenarios == port) return hosts;
  }
  return "";
}

std::string Placement::port(int rank, const std::string& device) const {
  std::string node = node_name(scenario_, static_cast<size_t>(rank)) + "/";
  for (const auto& [scenarios, hosts] : devices_) {
    if (hosts == device && scenarios.rfind(node, 0) == 0) return scenarios;
  }
  return "";
}

const HostCable* Placement::cable(const std::string& name) const {
  std::string ends[2];
  for (int end = 0; end < 2; ++end) {
    CableEnd here = cable_end(scenario_, name, end);
    if (here.port.empty()) return nullptr;
    ends[end] = plan_.hosts[static_cast<size_t>(here.rank)].host.ssh + "/" + device(here.port);
  }
  for (const HostCable& each : plan_.cables) {
    bool same = each.ends[0] == ends[0] && each.ends[1] == ends[1];
    bool turned = each.ends[0] == ends[1] && each.ends[1] == ends[0];
    if (same || turned) return &each;
  }
  return nullptr;
}

std::string Placement::cable_text(const std::string& name) const {
  std::string text = name + " (";
  for (int end = 0; end < 2; ++end) {
    CableEnd here = cable_end(scenario_, name, end);
    if (here.port.empty()) return name;
    text += fmt::format("{}{}/{}", end ? " - " : "",
                        plan_.hosts[static_cast<size_t>(here.rank)].host.ssh, device(here.port));
  }
  return text + ")";
}

}  // namespace railyard::harness
