#include "hardware/profile_limits.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace railyard::harness {

namespace {

constexpr struct {
  const char* rule;
  const char* resource;
} kLimits[] = {{"contexts", "contexts"},
               {"protection_domains", "protection-domains"},
               {"completion_queues", "completion-queues"},
               {"queue_pairs", "queue-pairs"},
               {"memory_regions", "memory-regions"}};

const char* resource_of(const std::string& rule) {
  for (const auto& each : kLimits) {
    if (rule == each.rule) return each.resource;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> profile_limits(const Scenario& scenario, std::string& reason) {
  std::vector<std::string> rules;
  if (scenario.cluster.spec.profile_overrides.empty()) return rules;
  nlohmann::json changed = nlohmann::json::parse(scenario.cluster.spec.profile_overrides);
  for (const auto& [section, entries] : changed.items()) {
    if (section != "rules" || !entries.is_object()) {
      reason = fmt::format("it changes the profile's {}, which a real device keeps", section);
      return {};
    }
    for (const auto& [name, rule] : entries.items()) {
      const char* resource = resource_of(name);
      if (!resource || !rule.is_object() || !rule.contains("is") ||
          !rule["is"].is_number_integer() || rule.contains("at_limit")) {
        reason = fmt::format("it changes the profile's rule {}, which a real device keeps", name);
        return {};
      }
      std::string text = fmt::format("limit {} {}", resource, rule["is"].get<int64_t>());
      if (rule.contains("errno")) text += " errno " + rule["errno"].get<std::string>();
      rules.push_back(text);
    }
  }
  return rules;
}

}  // namespace railyard::harness
