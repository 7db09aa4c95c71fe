#include "scenario/fault_types.h"

#include <fmt/format.h>

#include <algorithm>

#include "railyard/nearest.h"

namespace railyard::harness {

namespace {

std::string known(const Reader& name, const char* what, const std::vector<std::string>& names) {
  std::string text = name.text();
  if (std::find(names.begin(), names.end(), text) != names.end()) return text;
  name.fail(fmt::format("there is no {} '{}'; {}", what, text, suggest(text, names)));
}

const fabric::CableSpec& cable_spec(const Scenario& scenario, const std::string& name) {
  const auto& cables = scenario.cluster.spec.cables;
  return *std::find_if(cables.begin(), cables.end(),
                       [&](const fabric::CableSpec& cable) { return cable.name == name; });
}

}  // namespace

const std::vector<FaultType>& fault_types() {
  using K = FaultKind;
  constexpr auto kOther = FaultFamily::other, kVerb = FaultFamily::verb,
                 kMessage = FaultFamily::message;
  static const std::vector<FaultType> types = {
      {K::cable_unplug, "cable.unplug", kOther, {"cables", "cable"}},
      {K::cable_plug, "cable.plug", kOther, {"cables", "cable"}},
      {K::cable_swap, "cable.swap", kOther, {"cables", "end"}},
      {K::cable_miswire, "cable.miswire", kOther, {"cable", "to"}},
      {K::cable_flap, "cable.flap", kOther, {"cables", "cable", "for", "times"}},
      {K::link_shape, "link.shape", kOther, {"cables", "cable", "from", "link"}},
      {K::message_drop, "message.drop", kMessage, {"cable", "from", "times"}},
      {K::message_delay, "message.delay", kMessage, {"cable", "from", "times", "for"}},
      {K::message_corrupt, "message.corrupt", kMessage, {"cable", "from", "times"}},
      {K::message_duplicate, "message.duplicate", kMessage, {"cable", "from", "times"}},
      {K::message_hold, "message.hold", kMessage, {"cable", "from", "times", "for"}},
      {K::message_release, "message.release", kOther, {"cables", "cable"}},
      {K::receive_delay_until_arrival, "receive.delay-until-arrival", kVerb, {"rank", "times"}},
      {K::verb_fail, "verb.fail", kVerb, {"rank", "verb", "times", "errno"}},
      {K::verb_block, "verb.block", kVerb, {"rank", "verb"}},
      {K::verb_delay, "verb.delay", kVerb, {"rank", "verb", "times", "for"}},
      {K::completion_alter, "completion.alter", kVerb, {"rank", "times", "status"}},
      {K::device_limit, "device.limit", kOther, {"device", "resource", "most"}},
      {K::device_fail, "device.fail", kOther, {"device"}},
      {K::gid_set, "gid.set", kOther, {"device", "index", "to"}},
      {K::gid_clear, "gid.clear", kOther, {"device", "index"}},
      {K::rank_kill, "rank.kill", kOther, {"rank"}},
      {K::rank_stop, "rank.stop", kOther, {"rank", "for"}},
      {K::rank_resume, "rank.resume", kOther, {"rank"}},
      {K::rank_slow, "rank.slow", kOther, {"rank", "for", "share"}},
      {K::data_stale, "data.stale", kOther, {}},
      {K::side_channel_refuse, "side-channel.refuse", kOther, {"rank", "for"}},
      {K::side_channel_cut, "side-channel.cut", kOther, {"rank"}},
      {K::side_channel_hang, "side-channel.hang", kOther, {"rank", "for"}},
      {K::side_channel_slow, "side-channel.slow", kOther, {"rank", "for"}},
  };
  return types;
}

bool FaultPlan::fires_in_fabric() const {
  const auto& types = fault_types();
  auto type = std::find_if(types.begin(), types.end(),
                           [&](const FaultType& each) { return each.kind == kind; });
  return (type->family == FaultFamily::verb && when.at_verb) ||
         (type->family == FaultFamily::message && when.at_message);
}

std::vector<std::string> cable_names(const Scenario& scenario) {
  std::vector<std::string> names;
  for (const fabric::CableSpec& cable : scenario.cluster.spec.cables) names.push_back(cable.name);
  return names;
}

std::vector<std::string> node_names(const Scenario& scenario) {
  std::vector<std::string> names;
  for (const fabric::NodeSpec& node : scenario.cluster.spec.nodes) names.push_back(node.name);
  return names;
}

std::vector<std::string> device_names(const Scenario& scenario) {
  std::vector<std::string> names;
  for (const fabric::NodeSpec& node : scenario.cluster.spec.nodes) {
    for (const std::string& device : node.devices) names.push_back(node.name + "/" + device);
  }
  return names;
}

std::string read_cable(const Reader& name, const Scenario& scenario) {
  return known(name, "cable", cable_names(scenario));
}

int read_rank(const Reader& rank, const Scenario& scenario) {
  return static_cast<int>(rank.whole(0, static_cast<uint64_t>(scenario.cluster.ranks) - 1));
}

int read_end(const Reader& name, const std::string& cable, const Scenario& scenario) {
  const fabric::CableSpec& spec = cable_spec(scenario, cable);
  std::vector<std::string> ends;
  for (const std::string& end : spec.ends) ends.push_back(end.substr(0, end.find('/')));
  std::string wanted = name.text();
  auto found = std::find(ends.begin(), ends.end(), wanted);
  if (found == ends.end()) {
    name.fail(fmt::format("cable '{}' has no end at '{}'; its ends are at {} and {}", cable, wanted,
                          ends[0], ends[1]));
  }
  return static_cast<int>(found - ends.begin());
}

std::string read_verb(const Reader& name) {
  std::string verb = name.text();
  if (verb.rfind("ibv_", 0) != 0) {
    name.fail(fmt::format("'{}' is no verb; write ibv_{}", verb, verb));
  }
  return known(name, "verb", fabric::verb_names());
}

}  // namespace railyard::harness
