// How cables shape their traffic: a cluster's "link", and `railyard exec --link`.
#include <fmt/format.h>

#include <functional>
#include <map>
#include <sstream>

#include "railyard/nearest.h"
#include "scenario/sections.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

using Setter = std::function<void(const std::string&)>;

double parse_chance(const std::string& text) {
  std::istringstream in(text);
  double chance = -1;
  if (!(in >> chance) || !in.eof() || chance < 0 || chance > 1) {
    throw UnitError(fmt::format("'{}' is no chance; write a number between 0 and 1", text));
  }
  return chance;
}

std::map<std::string, Setter> setters(fabric::LinkModel& model) {
  auto chance = [](double& into) {
    return [&into](const std::string& text) { into = parse_chance(text); };
  };
  return {
      {"latency",
       [&](const std::string& text) {
         model.latency_ns = static_cast<double>(parse_duration(text).count());
       }},
      {"bandwidth",
       [&](const std::string& text) { model.bandwidth_bytes_per_s = parse_rate(text); }},
      {"loss", chance(model.loss)},
      {"corruption", chance(model.corruption)},
      {"duplication", chance(model.duplication)},
      {"reordering", chance(model.reordering)},
  };
}

std::vector<std::string> names_of(const std::map<std::string, Setter>& set) {
  std::vector<std::string> names;
  for (const auto& [name, unused] : set) names.push_back(name);
  return names;
}

}  // namespace

fabric::LinkModel read_link(const Reader& reader) {
  fabric::LinkModel model;
  std::map<std::string, Setter> set = setters(model);
  reader.object(names_of(set));
  for (const auto& [name, value] : reader.members()) {
    try {
      set[name](value.is_number() ? value.json().dump() : value.text());
    } catch (const UnitError& error) {
      value.fail(error.what());
    }
  }
  return model;
}

fabric::LinkModel parse_link(const std::string& text) {
  fabric::LinkModel model;
  std::map<std::string, Setter> set = setters(model);
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    size_t equals = part.find('=');
    std::string name = part.substr(0, equals);
    auto found = set.find(name);
    if (equals == std::string::npos || found == set.end()) {
      throw InputError(
          "railyard exec", "--link",
          fmt::format("'{}' is no property of a link; {}", part, suggest(name, names_of(set))));
    }
    try {
      found->second(part.substr(equals + 1));
    } catch (const UnitError& error) {
      throw InputError("railyard exec", "--link", error.what());
    }
  }
  return model;
}

// What leaves a device passes its cable once, whether a device or a switch is at the other end.
void shape_links(fabric::Fabric& fabric, const Cluster& cluster) {
  if (!cluster.link) return;
  for (const fabric::CableSpec& cable : cluster.spec.cables) {
    for (int end : {0, 1}) {
      bool device = cable.ends[end].find('/') != std::string::npos;
      if (device) fabric.shape(fabric.cable(cable.name), end, *cluster.link);
    }
  }
}

}  // namespace railyard::harness
