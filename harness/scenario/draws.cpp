// What a scenario's faults leave to chance: {"between": [1, 1000]}, {"any": "cables", "count": 2},
// "chance" and "repeat", drawn from the seed alone.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "railyard/nearest.h"
#include "scenario/fault_types.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

constexpr uint64_t kMostRepeats = 1000;

class Drawer {
 public:
  Drawer(const Scenario& scenario, size_t index)
      : scenario_(scenario), source_(scenario.seed * 1000003 + index) {}

  bool happens(double chance) { return static_cast<double>(source_() >> 11) * 0x1p-53 < chance; }

  // A value with every draw in it replaced.
  Json settle(const Reader& value) {
    if (value.has("between")) return between(value.object({"between"}).at("between"));
    if (value.has("any")) return any(value.object({"any", "count"}));
    if (value.is_object()) {
      Json settled = Json::object();
      for (const auto& [key, member] : value.members()) settled[key] = settle(member);
      return settled;
    }
    if (value.is_array()) {
      Json settled = Json::array();
      for (const Reader& element : value.elements()) settled.push_back(settle(element));
      return settled;
    }
    return value.json();
  }

 private:
  // Not std::uniform_int_distribution: each library has its own.
  uint64_t below(uint64_t count) { return source_() % count; }

  Json between(const Reader& range) {
    std::vector<Reader> ends = range.elements();
    if (ends.size() != 2) range.fail("this takes the least and the most: [1, 1000]");
    bool durations = ends[0].is_text();
    auto number = [&](const Reader& end) {
      return durations ? static_cast<uint64_t>(end.duration().count())
                       : end.whole(0, uint64_t{1} << 53);
    };
    uint64_t least = number(ends[0]), most = number(ends[1]);
    if (least > most) range.fail("the least stands first; exchange the two");
    uint64_t drawn = least + below(most - least + 1);
    return durations ? Json(fmt::format("{}ns", drawn)) : Json(drawn);
  }

  std::vector<Json> choices(const Reader& of) {
    if (!of.is_text()) {
      std::vector<Json> listed;
      for (const Reader& element : of.elements()) listed.push_back(element.json());
      return listed;
    }
    auto texts = [](const std::vector<std::string>& names) {
      return std::vector<Json>(names.begin(), names.end());
    };
    std::string what = of.one_of({"cables", "nodes", "devices", "ranks"});
    if (what == "cables") return texts(cable_names(scenario_));
    if (what == "nodes") return texts(node_names(scenario_));
    if (what == "devices") return texts(device_names(scenario_));
    std::vector<Json> ranks;
    for (int rank = 0; rank < scenario_.cluster.ranks; ++rank) ranks.push_back(rank);
    return ranks;
  }

  Json any(const Reader& draw) {
    std::vector<Json> left = choices(draw.at("any"));
    if (left.empty()) draw.at("any").fail("there is nothing to choose from; add something");
    if (!draw.has("count")) return left[below(left.size())];
    uint64_t count = draw.at("count").whole(1, left.size());
    Json drawn = Json::array();
    for (uint64_t i = 0; i < count; ++i) {
      auto chosen = left.begin() + static_cast<std::ptrdiff_t>(below(left.size()));
      drawn.push_back(*chosen);
      left.erase(chosen);
    }
    return drawn;
  }

  const Scenario& scenario_;
  std::mt19937_64 source_;
};

}  // namespace

std::vector<Json> draw_entry(const Reader& entry, size_t index, const Scenario& scenario) {
  entry.members();  // an object
  uint64_t repeat = entry.has("repeat") ? entry.at("repeat").whole(1, kMostRepeats) : 1;
  double chance = 1;
  if (entry.has("chance")) {
    Reader value = entry.at("chance");
    if (!value.is_number() || value.json() < 0 || value.json() > 1) {
      value.fail("a chance is a number between 0 and 1");
    }
    chance = value.json().get<double>();
  }
  Drawer drawer(scenario, index);
  std::vector<Json> drawn;
  for (uint64_t i = 0; i < repeat; ++i) {
    Json settled = drawer.settle(entry);
    settled.erase("repeat");
    settled.erase("chance");
    if (drawer.happens(chance)) drawn.push_back(std::move(settled));
  }
  return drawn;
}

}  // namespace railyard::harness
