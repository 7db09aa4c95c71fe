#include "fabric/profile_loader.h"

#include <fmt/format.h>
#include <infiniband/verbs.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "fabric/shipped_profiles.h"
#include "railyard/fabric.h"

namespace railyard::fabric {
namespace {

using nlohmann::json;

// Thunderbolt's link layer in Apple's verbs.h (macOS 26.2 and later).
constexpr uint8_t kLinkLayerThunderbolt = 100;

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

// Reads the members of one object, by name, and complains of those it was not asked for.
class Reader {
 public:
  Reader(const json& object, std::string place) : object_(object), place_(std::move(place)) {
    if (!object_.is_object()) fail("", "an object is needed here");
  }

  [[noreturn]] void fail(const std::string& key, const std::string& why) const {
    throw Error(fmt::format("{}{}{}: {}", place_, key.empty() ? "" : "/", key, why));
  }

  // A rule is its value, or an object with the value under "is".
  const json& value(const std::string& key) {
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

  template <typename T>
  T get(const std::string& key) {
    const json& found = value(key);
    try {
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        if (!found.is_number_integer() || found < 0) fail(key, "a whole number is needed here");
        if (found > std::numeric_limits<T>::max()) {
          fail(key, fmt::format("{} is more than {}", found.dump(), std::numeric_limits<T>::max()));
        }
      }
      return found.get<T>();
    } catch (const json::exception&) {
      fail(key, fmt::format("{} has the wrong type", found.dump()));
    }
  }

  void text(const std::string& key, char* out, size_t bytes) {
    auto found = get<std::string>(key);
    if (found.size() >= bytes) fail(key, fmt::format("is longer than {} characters", bytes - 1));
    memset(out, 0, bytes);
    memcpy(out, found.data(), found.size());
  }

  template <typename T>
  T choice(const std::string& key, const std::map<std::string, T>& choices) {
    return pick(key, get<std::string>(key), choices);
  }

  template <typename T>
  T set(const std::string& key, const std::map<std::string, T>& choices) {
    T mask{};
    for (const auto& name : get<std::vector<std::string>>(key)) mask |= pick(key, name, choices);
    return mask;
  }

  // A member of a rule beside its value ("errno"), `otherwise` where the rule is only a value.
  std::string detail(const std::string& key, const char* member, const std::string& otherwise) {
    const json& rule = object_.at(key);
    auto found = rule.find(member);
    if (!rule.is_object() || found == rule.end()) return otherwise;
    if (!found->is_string()) fail(key + "/" + member, "a text is needed here");
    return *found;
  }

  int error(const std::string& key, const std::string& otherwise = "EINVAL") {
    return pick(key, detail(key, "errno", otherwise), kErrors);
  }

  Limit limit(const std::string& key) { return {get<int32_t>(key), error(key, "ENOMEM")}; }

  void finish() const {
    for (const auto& [key, unused] : object_.items()) {
      if (!seen_.contains(key)) fail(key, "no such field");
    }
  }

 private:
  template <typename T>
  T pick(const std::string& key, const std::string& name, const std::map<std::string, T>& choices) {
    auto found = choices.find(name);
    if (found != choices.end()) return found->second;
    std::string names;
    for (const auto& [choice, unused] : choices) names += (names.empty() ? "" : ", ") + choice;
    fail(key, fmt::format("'{}' is none of {}", name, names));
  }

  const json& object_;
  std::string place_;
  std::set<std::string> seen_;
};

void read_device(Reader device, Profile& profile) {
  device.text("prefix", profile.device_prefix, sizeof profile.device_prefix);
  profile.device_first = device.get<int32_t>("first");
  device.text("firmware", profile.firmware, sizeof profile.firmware);
  profile.vendor_id = device.get<uint32_t>("vendor_id");
  profile.vendor_part_id = device.get<uint32_t>("vendor_part_id");
  profile.hardware_version = device.get<uint32_t>("hardware_version");
  profile.link_layer =
      device.choice<uint8_t>("link_layer", {{"infiniband", IBV_LINK_LAYER_INFINIBAND},
                                            {"ethernet", IBV_LINK_LAYER_ETHERNET},
                                            {"thunderbolt", kLinkLayerThunderbolt}});
  switch (device.get<int>("mtu")) {
    case 256:
      profile.mtu = IBV_MTU_256;
      break;
    case 512:
      profile.mtu = IBV_MTU_512;
      break;
    case 1024:
      profile.mtu = IBV_MTU_1024;
      break;
    case 2048:
      profile.mtu = IBV_MTU_2048;
      break;
    case 4096:
      profile.mtu = IBV_MTU_4096;
      break;
    default:
      device.fail("mtu", "must be 256, 512, 1024, 2048 or 4096");
  }
  device.finish();
}

void read_rules(Reader rules, Profile& profile) {
  profile.point_to_point =
      rules.choice<bool>("topology", {{"point-to-point", true}, {"switched", false}});
  profile.ipv4_gid = rules.get<bool>("ipv4_gid");
  profile.transports = rules.set<uint32_t>(
      "transports",
      {{"RC", kReliable}, {"UC", kUnreliable}, {"UD", kDatagram}, {"XRC", kExtendedReliable}});
  profile.transport_error = rules.error("transports", "EOPNOTSUPP");
  profile.one_sided = rules.get<bool>("one_sided");
  profile.operation_error = rules.error("one_sided");
  profile.atomics = rules.get<bool>("atomics");
  profile.windows = rules.get<bool>("memory_windows");
  profile.multicast = rules.get<bool>("multicast");
  profile.max_shared_receives = rules.get<int32_t>("max_shared_receives");

  profile.contexts = rules.limit("contexts");
  std::string at_limit = rules.detail("contexts", "at_limit", "refuse");
  if (at_limit != "block" && at_limit != "refuse") {
    rules.fail("contexts/at_limit", fmt::format("'{}' is none of block, refuse", at_limit));
  }
  profile.at_context_limit = at_limit == "block" ? AtLimit::block : AtLimit::refuse;
  profile.protection_domains = rules.limit("protection_domains");
  profile.completion_queues = rules.limit("completion_queues");
  profile.queue_pairs = rules.limit("queue_pairs");
  profile.memory_regions = rules.limit("memory_regions");

  profile.max_requests = rules.get<int32_t>("max_requests");
  profile.min_granted = rules.get<int32_t>("min_granted");
  profile.depth_unit_bytes = rules.get<uint32_t>("depth_unit_bytes");
  rules.choice<bool>("over_post", {{"refuse", true}});
  profile.over_post_error = rules.error("over_post", "ENOMEM");
  profile.max_sge = rules.get<int32_t>("max_sge");
  profile.max_inline = rules.get<int32_t>("max_inline");
  profile.max_completions = rules.get<int32_t>("max_completions");
  profile.max_message_bytes = rules.get<uint64_t>("max_message_bytes");
  profile.max_region_bytes = rules.get<uint64_t>("max_region_bytes");
  profile.max_rd_atomic = rules.get<int32_t>("max_rd_atomic");

  profile.region_page_aligned = rules.get<bool>("region_page_aligned");
  profile.region_error = rules.error("region_page_aligned");
  profile.region_access =
      rules.set<int32_t>("region_access", {{"local_write", IBV_ACCESS_LOCAL_WRITE},
                                           {"remote_write", IBV_ACCESS_REMOTE_WRITE},
                                           {"remote_read", IBV_ACCESS_REMOTE_READ},
                                           {"remote_atomic", IBV_ACCESS_REMOTE_ATOMIC},
                                           {"mw_bind", IBV_ACCESS_MW_BIND},
                                           {"zero_based", IBV_ACCESS_ZERO_BASED},
                                           {"on_demand", IBV_ACCESS_ON_DEMAND},
                                           {"relaxed_ordering", IBV_ACCESS_RELAXED_ORDERING}});
  profile.unreliable_no_receive = rules.choice<NoReceive>(
      "no_receive",
      {{"hold", NoReceive::hold}, {"drop", NoReceive::drop}, {"fail", NoReceive::fail}});
  profile.checks_integrity = rules.get<bool>("checks_integrity");
  profile.frame_bytes = rules.get<uint32_t>("frame_bytes");
  profile.receive_needs_rts = rules.get<bool>("receive_needs_rts");
  profile.receive_state_error = rules.error("receive_needs_rts");
  profile.wrong_cable = rules.choice<WrongCable>(
      "wrong_cable", {{"silence", WrongCable::silence}, {"refuse", WrongCable::refuse}});
  profile.wrong_cable_error = rules.error("wrong_cable", "ETIMEDOUT");
  profile.port_down_no_pd =
      rules.choice<bool>("port_down", {{"no-protection-domain", true}, {"nothing", false}});
  rules.finish();
}

json parse(const std::string& text, const std::string& place) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    throw Error(fmt::format("{}: {}", place, error.what()));
  }
}

}  // namespace

std::vector<std::string> shipped_profiles() {
  std::vector<std::string> names;
  for (const ShippedProfile& shipped : kShippedProfiles) names.emplace_back(shipped.name);
  return names;
}

std::string profile_text(const std::string& name_or_path) {
  for (const ShippedProfile& shipped : kShippedProfiles) {
    if (name_or_path == shipped.name) return shipped.text;
  }
  std::ifstream file(name_or_path);
  if (!file) {
    std::string names;
    for (const ShippedProfile& shipped : kShippedProfiles) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", shipped.name);
    }
    throw Error(fmt::format("profile '{}' is neither a file nor one of {}", name_or_path, names));
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

Profile load_profile(const std::string& name_or_path, const std::string& overrides) {
  std::string place = "profile " + name_or_path;
  json document = parse(profile_text(name_or_path), place);
  if (!overrides.empty()) document.merge_patch(parse(overrides, "overrides of " + place));

  Profile profile{};
  Reader reader(document, place);
  reader.text("name", profile.name, sizeof profile.name);
  reader.get<std::string>("summary");
  for (const char* key : {"device", "rules"}) {
    if (!document.contains(key)) reader.fail(key, "is missing");
  }
  read_device(Reader(document["device"], place + ": device"), profile);
  read_rules(Reader(document["rules"], place + ": rules"), profile);
  for (const auto& [key, unused] : document.items()) {
    if (key != "name" && key != "summary" && key != "device" && key != "rules") {
      reader.fail(key, "no such field");
    }
  }
  return profile;
}

}  // namespace railyard::fabric
