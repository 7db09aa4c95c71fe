#include "fabric/profile_reader.h"

#include <cerrno>
#include <cstring>

namespace railyard::fabric {

using nlohmann::json;

namespace {

const std::map<std::string, int> kErrors = {{"EINVAL", EINVAL},
                                            {"ENOMEM", ENOMEM},
                                            {"EBUSY", EBUSY},
                                            {"EOPNOTSUPP", EOPNOTSUPP},
                                            {"ENOSYS", ENOSYS},
                                            {"EPERM", EPERM},
                                            {"ETIMEDOUT", ETIMEDOUT},
                                            {"EAGAIN", EAGAIN},
                                            {"EIO", EIO},
                                            {"ENODEV", ENODEV},
                                            {"EHOSTUNREACH", EHOSTUNREACH},
                                            {"ENOSPC", ENOSPC}};

// What a rule may have beside its value.
const std::set<std::string> kRuleMembers = {"is", "errno", "at_limit", "source"};

}  // namespace

Reader::Reader(const json& object, std::string place) : object_(object), place_(std::move(place)) {
  if (!object_.is_object()) fail("", "an object is needed here");
}

void Reader::fail(const std::string& key, const std::string& why) const {
  throw Error(fmt::format("{}{}{}: {}", place_, key.empty() ? "" : "/", key, why));
}

const json& Reader::value(const std::string& key) {
  seen_.insert(key);
  auto found = object_.find(key);
  if (found == object_.end()) fail(key, "is missing");
  if (!found->is_object()) return *found;
  for (const auto& [member, unused] : found->items()) {
    if (!kRuleMembers.contains(member)) fail(key + "/" + member, "no such field");
  }
  auto is = found->find("is");
  if (is == found->end()) fail(key, "has no \"is\"");
  return *is;
}

void Reader::text(const std::string& key, char* out, size_t bytes) {
  auto found = get<std::string>(key);
  if (found.size() >= bytes) fail(key, fmt::format("is longer than {} characters", bytes - 1));
  memset(out, 0, bytes);
  memcpy(out, found.data(), found.size());
}

std::string Reader::detail(const std::string& key, const char* member,
                           const std::string& otherwise) const {
  const json& rule = object_.at(key);
  auto found = rule.find(member);
  if (!rule.is_object() || found == rule.end()) return otherwise;
  if (!found->is_string()) fail(key + "/" + member, "a text is needed here");
  return *found;
}

int Reader::error(const std::string& key, const std::string& otherwise) const {
  return pick(key, detail(key, "errno", otherwise), kErrors);
}

void Reader::finish() const {
  for (const auto& [key, unused] : object_.items()) {
    if (!seen_.contains(key)) fail(key, "no such field");
  }
}

}  // namespace railyard::fabric
