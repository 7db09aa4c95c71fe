#include "scenario/profile_rules.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "railyard/fabric.h"

namespace railyard::harness {

using nlohmann::json;

namespace {

ProfileRule read_rule(const json& written) {
  const json& is = written["is"];
  ProfileRule rule;
  rule.says = is.is_string() ? is.get<std::string>() : is.dump();
  if (written.contains("errno")) rule.says += ", errno " + written["errno"].get<std::string>();
  rule.source = written.value("source", "");
  if (is.is_number()) rule.number = is.get<int64_t>();
  if (is.is_string()) rule.words = {is.get<std::string>()};
  if (is.is_array()) rule.words = is.get<std::vector<std::string>>();
  return rule;
}

}  // namespace

bool ProfileRule::names(const std::string& word) const {
  return std::find(words.begin(), words.end(), word) != words.end();
}

ProfileRules::ProfileRules(const std::string& profile) {
  json whole = json::parse(fabric::profile_text(profile));
  device_prefix_ = whole["device"]["prefix"];
  for (const auto& [name, written] : whole["rules"].items()) {
    if (written.contains("is")) rules_.emplace(name, read_rule(written));
  }
}

const ProfileRule* ProfileRules::find(const std::string& rule) const {
  auto found = rules_.find(rule);
  return found == rules_.end() ? nullptr : &found->second;
}

bool ProfileRules::names(const std::string& rule, const std::string& word) const {
  const ProfileRule* found = find(rule);
  return found && found->names(word);
}

size_t ProfileRules::limit(const std::string& rule) const {
  const ProfileRule* found = find(rule);
  return found ? static_cast<size_t>(found->number) : 0;
}

}  // namespace railyard::harness
