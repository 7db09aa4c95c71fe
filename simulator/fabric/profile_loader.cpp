#include "fabric/profile_loader.h"

#include <fmt/format.h>
#include <infiniband/verbs.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "fabric/profile_reader.h"
#include "fabric/shipped_profiles.h"
#include "railyard/fabric.h"

namespace railyard::fabric {
namespace {

using nlohmann::json;

// Thunderbolt's link layer in Apple's verbs.h (macOS 26.2 and later).
constexpr uint8_t kLinkLayerThunderbolt = 100;

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

void read_offers_and_limits(Reader& rules, Profile& profile) {
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
  profile.at_context_limit =
      rules.at_limit("contexts", {{"block", AtLimit::block}, {"refuse", AtLimit::refuse}});
  profile.protection_domains = rules.limit("protection_domains");
  profile.completion_queues = rules.limit("completion_queues");
  profile.queue_pairs = rules.limit("queue_pairs");
  profile.advertised_queue_pairs = rules.get<int32_t>("advertised_queue_pairs");
  profile.memory_regions = rules.limit("memory_regions");

  profile.max_requests = rules.get<int32_t>("max_requests");
  profile.min_granted = rules.get<int32_t>("min_granted");
  profile.depth_unit_bytes = rules.get<uint32_t>("depth_unit_bytes");
  profile.over_post = rules.choice<OverPost>("over_post", {{"refuse", OverPost::refuse},
                                                           {"corrupt", OverPost::corrupt},
                                                           {"swallow", OverPost::swallow}});
  profile.over_post_error = rules.error("over_post", "ENOMEM");
  profile.max_sge = rules.get<int32_t>("max_sge");
  profile.max_inline = rules.get<int32_t>("max_inline");
  profile.min_inline = rules.get<int32_t>("min_inline");
  profile.max_completions = rules.get<int32_t>("max_completions");
  profile.max_message_bytes = rules.get<uint64_t>("max_message_bytes");
  profile.multi_frame_in_flight = rules.get<uint32_t>("multi_frame_in_flight");
  profile.max_rd_atomic = rules.get<int32_t>("max_rd_atomic");
}

void read_region_rules(Reader& rules, Profile& profile) {
  profile.max_region_bytes = rules.get<uint64_t>("max_region_bytes");
  profile.at_region_limit = rules.at_limit(
      "max_region_bytes", {{"refuse", AtLimit::refuse}, {"corrupt", AtLimit::corrupt}});
  profile.region_bytes_error = rules.error("max_region_bytes");
  profile.advertised_region_bytes = rules.get<uint64_t>("advertised_region_bytes");
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
  profile.region_local_write_alone = rules.get<bool>("region_local_write_alone");
}

void read_message_rules(Reader& rules, Profile& profile) {
  profile.unreliable_no_receive = rules.choice<NoReceive>(
      "no_receive",
      {{"hold", NoReceive::hold}, {"drop", NoReceive::drop}, {"fail", NoReceive::fail}});
  profile.arming_tells_unread = rules.get<bool>("arming_tells_unread");
  profile.checks_integrity = rules.get<bool>("checks_integrity");
  profile.frame_bytes = rules.get<uint32_t>("frame_bytes");
  profile.receive_needs_rts = rules.get<bool>("receive_needs_rts");
  profile.receive_state_error = rules.error("receive_needs_rts");
  profile.wrong_cable = rules.choice<WrongCable>(
      "wrong_cable", {{"silence", WrongCable::silence}, {"refuse", WrongCable::refuse}});
  profile.wrong_cable_error = rules.error("wrong_cable", "ETIMEDOUT");
  profile.port_down_no_pd =
      rules.choice<bool>("port_down", {{"no-protection-domain", true}, {"nothing", false}});
  profile.unplugged_receive_crashes =
      rules.choice<bool>("unplugged_receive", {{"crash", true}, {"nothing", false}});
  profile.killed_owner_leaks =
      rules.choice<bool>("killed_owner", {{"leaked", true}, {"freed", false}});
}

void read_link(Reader link, Profile& profile) {
  profile.link_latency_ns = link.get<double>("latency_ns");
  profile.link_bandwidth_bytes_per_s = link.get<double>("bandwidth_bytes_per_s");
  profile.link_loss = link.get<double>("loss");
  if (profile.link_loss > 1) link.fail("loss", fmt::format("{} is more than 1", profile.link_loss));
  link.finish();
}

json parse(const std::string& text, const std::string& place) {
  try {
    return json::parse(text);
  } catch (const json::exception& error) {  // no JSON, or a number larger than any may be
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
  for (const char* key : {"device", "rules", "link"}) {
    if (!document.contains(key)) reader.fail(key, "is missing");
  }
  read_device(Reader(document["device"], place + ": device"), profile);
  Reader rules(document["rules"], place + ": rules");
  read_offers_and_limits(rules, profile);
  read_region_rules(rules, profile);
  read_message_rules(rules, profile);
  rules.finish();
  read_link(Reader(document["link"], place + ": link"), profile);
  for (const auto& [key, unused] : document.items()) {
    if (key != "name" && key != "summary" && key != "device" && key != "rules" && key != "link") {
      reader.fail(key, "no such field");
    }
  }
  return profile;
}

LinkModel measured_link(const std::string& profile, const std::string& overrides) {
  Profile loaded = load_profile(profile, overrides);
  return {.latency_ns = loaded.link_latency_ns,
          .bandwidth_bytes_per_s = loaded.link_bandwidth_bytes_per_s,
          .loss = loaded.link_loss};
}

}  // namespace railyard::fabric
