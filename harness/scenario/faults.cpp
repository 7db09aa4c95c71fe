// The "faults" section: what is broken, and when.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "railyard/errno_names.h"
#include "railyard/fabric_names.h"
#include "railyard/nearest.h"
#include "scenario/fault_types.h"
#include "scenario/sections.h"

namespace railyard::harness {

namespace {

int read_errno(const Reader& reader) {
  if (reader.is_number()) return static_cast<int>(reader.whole(1, 4095));
  std::vector<std::string> names;
  for (const ErrnoName& entry : kErrnoNames) {
    names.push_back(entry.name);
    if (reader.text() == entry.name) return entry.number;
  }
  reader.fail(
      fmt::format("'{}' is no errno known here; {}", reader.text(), suggest(reader.text(), names)));
}

int read_status(const Reader& reader) {
  std::vector<std::string> names = fabric::completion_status_names();
  std::string name = reader.one_of(names);
  return static_cast<int>(std::find(names.begin(), names.end(), name) - names.begin());
}

// "queue-pairs"
fabric::Resource read_resource(const Reader& reader) {
  std::vector<std::string> names;
  for (auto each : {fabric::Resource::contexts, fabric::Resource::protection_domains,
                    fabric::Resource::completion_queues, fabric::Resource::queue_pairs,
                    fabric::Resource::memory_regions}) {
    names.push_back(fmt::format("{}s", fabric::resource_name(each)));
    std::replace(names.back().begin(), names.back().end(), ' ', '-');
  }
  std::string name = reader.one_of(names);
  return static_cast<fabric::Resource>(std::find(names.begin(), names.end(), name) - names.begin());
}

// "fe80::1", "::ffff:10.0.0.1", "10.0.0.1" (IPv4-mapped), or "empty".
std::optional<std::array<uint8_t, 16>> read_gid(const Reader& reader) {
  std::string text = reader.text();
  if (text == "empty") return std::nullopt;
  std::string address = text.find(':') == std::string::npos ? "::ffff:" + text : text;
  std::array<uint8_t, 16> gid{};
  if (inet_pton(AF_INET6, address.c_str(), gid.data()) != 1) {
    reader.fail(fmt::format("'{}' is no GID; write an IPv6 or IPv4 address, or \"empty\"", text));
  }
  return gid;
}

std::string read_device(const Reader& name, const Scenario& scenario) {
  std::vector<std::string> devices = device_names(scenario);
  if (std::find(devices.begin(), devices.end(), name.text()) == devices.end()) {
    name.fail(
        fmt::format("there is no device '{}'; {}", name.text(), suggest(name.text(), devices)));
  }
  return name.text();
}

// Reads the keys of one entry into its plan, each by the function that stands under its name.
class EntryReader {
 public:
  EntryReader(const Reader& entry, const FaultType& type, const Scenario& scenario)
      : entry_(entry), type_(type), scenario_(scenario) {}

  FaultPlan read() {
    std::vector<std::string> keys = {"when", "do", "expect", "chance", "repeat"};
    keys.insert(keys.end(), type_.keys.begin(), type_.keys.end());
    entry_.object(keys);
    plan_.kind = type_.kind;
    plan_.name = type_.name;
    plan_.when = read_trigger(entry_.at("when"), type_, scenario_);
    for (const char* key : {"cable", "from", "rank", "verb", "times"}) {
      if (plan_.fires_in_fabric() && has(key)) {
        entry_.at(key).fail("\"when\" says this already; drop it here");
      }
    }
    read_cables();
    read_where();
    read_what();
    read_how_long();
    read_expected();
    return plan_;
  }

 private:
  bool takes(const char* key) const {
    return std::find(type_.keys.begin(), type_.keys.end(), key) != type_.keys.end();
  }
  // A key that the trigger makes superfluous or that may be left out.
  bool has(const char* key) const { return takes(key) && entry_.has(key); }
  bool needs(const char* key) const { return takes(key) && !plan_.fires_in_fabric(); }

  void read_cables() {
    if (!takes("cable") && !takes("cables")) return;
    bool given = entry_.has("cable") || entry_.has("cables");
    if (plan_.when.at_message && !given) {
      plan_.cables.push_back(plan_.when.at_message->cable);
    } else if (entry_.has("cable") || !takes("cables")) {
      plan_.cables.push_back(read_cable(entry_.at("cable"), scenario_));
    } else {
      for (const Reader& name : entry_.at("cables").elements()) {
        plan_.cables.push_back(read_cable(name, scenario_));
      }
      if (plan_.cables.empty()) entry_.at("cables").fail("name at least one cable");
    }
    if (plan_.kind != FaultKind::cable_swap) return;
    if (plan_.cables.size() != 2) entry_.at("cables").fail("a swap takes two cables");
    plan_.node = entry_.at("end").one_of(node_names(scenario_));
    for (const std::string& cable : plan_.cables) read_end(entry_.at("end"), cable, scenario_);
  }

  void read_where() {
    if (has("from")) {
      for (const std::string& cable : plan_.cables) read_end(entry_.at("from"), cable, scenario_);
      plan_.node = entry_.at("from").text();
    }
    if (takes("device")) plan_.port = read_device(entry_.at("device"), scenario_);
    if (plan_.kind == FaultKind::cable_miswire) read_new_place();
    bool side_channel = type_.name[0] == 's';
    if (has("rank")) {
      plan_.rank = read_rank(entry_.at("rank"), scenario_);
      if (side_channel && plan_.rank == 0) {
        entry_.at("rank").fail("rank 0 is where the side channel leads to; name another rank");
      }
    } else if (plan_.when.at_operation && !side_channel) {
      plan_.rank = plan_.when.at_operation->rank;
    } else if (plan_.when.at_verb && !side_channel) {
      plan_.rank = plan_.when.at_verb->rank;
    } else if (needs("rank") && !side_channel) {
      entry_.at("rank");  // fails: missing
    }
    if (plan_.kind == FaultKind::data_stale && !plan_.when.at_operation) {
      entry_.at("when").fail("data.stale strikes an operation; use \"rank\" and \"op\"");
    }
  }

  void read_new_place() {
    Reader to = entry_.at("to");
    plan_.port = read_device(to, scenario_);
    for (const fabric::CableSpec& cable : scenario_.cluster.spec.cables) {
      if (cable.ends[0] == plan_.port || cable.ends[1] == plan_.port) {
        to.fail(fmt::format("{} has a cable, '{}'; name a device without one, or use cable.swap",
                            plan_.port, cable.name));
      }
    }
    plan_.node = plan_.port.substr(0, plan_.port.find('/'));
    const std::string& cable = plan_.cables[0];
    const auto& cables = scenario_.cluster.spec.cables;
    auto spec = std::find_if(cables.begin(), cables.end(),
                             [&](const fabric::CableSpec& each) { return each.name == cable; });
    bool ends_there =
        std::any_of(std::begin(spec->ends), std::end(spec->ends),
                    [&](const std::string& end) { return end.rfind(plan_.node + "/", 0) == 0; });
    if (!ends_there) to.fail(fmt::format("cable '{}' has no end at {}", cable, plan_.node));
  }

  void read_what() {
    if (takes("errno")) plan_.error_number = read_errno(entry_.at("errno"));
    if (takes("status")) plan_.error_number = read_status(entry_.at("status"));
    if (takes("link")) plan_.link = read_link(entry_.at("link"));
    if (takes("resource")) {
      plan_.resource = read_resource(entry_.at("resource"));
      Reader most = entry_.at("most");
      if (most.is_text()) {
        most.one_of({"used-up"});
      } else {
        plan_.most = static_cast<int>(most.whole(0, 1'000'000));
      }
    }
    if (plan_.kind == FaultKind::gid_set) plan_.gid = read_gid(entry_.at("to"));
    if (plan_.kind == FaultKind::gid_set || has("index")) {
      plan_.gid_index = static_cast<int>(entry_.at("index").whole(0, 3));
    }
    if (type_.family == FaultFamily::verb && !plan_.when.at_verb) {
      plan_.verb = plan_.kind == FaultKind::receive_delay_until_arrival ? "ibv_post_recv"
                   : plan_.kind == FaultKind::completion_alter          ? "ibv_poll_cq"
                                                               : read_verb(entry_.at("verb"));
    }
    if (takes("share")) {
      Reader share = entry_.at("share");
      bool fits = share.is_number() && share.json() > 0 && share.json() < 1;
      if (!fits)
        share.fail("this is the part of its time that the rank keeps: a number between 0 and 1");
      plan_.share = share.json().get<double>();
    }
  }

  void read_how_long() {
    static const std::vector<FaultKind> for_ever = {FaultKind::rank_stop, FaultKind::message_hold,
                                                    FaultKind::side_channel_refuse,
                                                    FaultKind::side_channel_hang};
    bool optional = std::find(for_ever.begin(), for_ever.end(), plan_.kind) != for_ever.end();
    if (has("for") || (takes("for") && !optional)) plan_.duration = entry_.at("for").duration();
    if (has("times")) plan_.times = entry_.at("times").whole(1, uint64_t{1} << 40);
  }

  void read_expected() {
    if (!entry_.has("expect")) return;
    static const std::map<std::string, std::optional<FaultOutcome>> outcomes = {
        {"fired", FaultOutcome::fired},
        {"did-not-fire", FaultOutcome::did_not_fire},
        {"no-change", FaultOutcome::no_change},
        {"any", std::nullopt}};
    std::vector<std::string> names;
    for (const auto& [name, outcome] : outcomes) names.push_back(name);
    plan_.expected = outcomes.at(entry_.at("expect").one_of(names));
  }

  const Reader& entry_;
  const FaultType& type_;
  const Scenario& scenario_;
  FaultPlan plan_;
};

FaultPlan read_fault(const Reader& entry, const Scenario& scenario) {
  std::vector<std::string> names;
  for (const FaultType& type : fault_types()) names.push_back(type.name);
  std::string name = entry.at("do").one_of(names);
  const FaultType& type = *std::find_if(fault_types().begin(), fault_types().end(),
                                        [&](const FaultType& each) { return each.name == name; });
  return EntryReader(entry, type, scenario).read();
}

}  // namespace

std::vector<FaultPlan> read_faults(const Reader& reader, const Scenario& scenario) {
  std::vector<FaultPlan> faults;
  std::vector<Reader> entries = reader.elements();
  for (size_t i = 0; i < entries.size(); ++i) {
    for (const Json& drawn : draw_entry(entries[i], i, scenario)) {
      faults.push_back(read_fault(Reader(reader.file(), entries[i].place(), drawn), scenario));
    }
  }
  return faults;
}

}  // namespace railyard::harness
