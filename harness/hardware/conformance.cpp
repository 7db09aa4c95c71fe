#include "hardware/conformance.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "railyard/report.h"
#include "scenario/profile_rules.h"

namespace railyard::harness {

using nlohmann::json;

namespace {

// One line of the record.
struct Event {
  std::string what;
  std::map<std::string, std::string> values;

  bool has(const std::string& key) const { return values.count(key) != 0; }
  int64_t number(const std::string& key) const {
    auto found = values.find(key);
    return found == values.end() ? 0 : std::atoll(found->second.c_str());
  }
  // The second of "asked->granted", -1: there is none.
  int64_t granted(const std::string& key) const {
    auto found = values.find(key);
    size_t arrow = found == values.end() ? std::string::npos : found->second.find("->");
    return arrow == std::string::npos ? -1 : std::atoll(found->second.c_str() + arrow + 2);
  }
};

Event read_event(const std::string& line) {
  std::istringstream words(line);
  Event event;
  std::string word;
  words >> word >> event.what;
  while (words >> word) {
    size_t equals = word.find('=');
    if (equals != std::string::npos) event.values[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return event;
}

struct Counted {
  const char* rule;
  const char* made;
  const char* ended;
};
constexpr Counted kCounted[] = {
    {"contexts", "ibv_open_device", "ibv_close_device"},
    {"protection_domains", "ibv_alloc_pd", "ibv_dealloc_pd"},
    {"completion_queues", "ibv_create_cq", "ibv_destroy_cq"},
    {"queue_pairs", "ibv_create_qp", "ibv_destroy_qp"},
    {"memory_regions", "ibv_reg_mr", "ibv_dereg_mr"},
};

// What a query answers: the rule, the verb, the key of its line.
struct Told {
  const char* rule;
  const char* verb;
  const char* key;
};
constexpr Told kTold[] = {
    {"advertised_queue_pairs", "ibv_query_device", "queue_pairs"},
    {"max_requests", "ibv_query_device", "requests"},
    {"max_sge", "ibv_query_device", "sges"},
    {"protection_domains", "ibv_query_device", "protection_domains"},
    {"max_completions", "ibv_query_device", "completions"},
    {"max_message_bytes", "ibv_query_port", "message_bytes"},
};

const char* transport_name(int64_t type) {
  return type == 2 ? "RC" : type == 3 ? "UC" : type == 4 ? "UD" : "another";
}

std::string errno_text(int64_t number) {
  return fmt::format("errno {} ({})", number, std::strerror(static_cast<int>(number)));
}

// Of one device.
class Judge {
 public:
  Judge(const ProfileRules& rules, std::string host, std::string device)
      : rules_(rules), host_(std::move(host)), device_(std::move(device)) {}

  void hear(const Event& event) {
    for (const Told& told : kTold) {
      const ProfileRule* rule = rules_.find(told.rule);
      if (event.what != told.verb || !event.has(told.key) || !rule || rule->number == 0) continue;
      int64_t value = event.number(told.key);
      add(told.rule, fmt::format("{} says {}", told.verb, value), value == rule->number);
    }
    count(event);
    if (event.what == "ibv_create_qp") create_pair(event);
    if (event.what == "ibv_post_recv" || event.what == "ibv_post_send") refuse_request(event);
    if (event.what == "ibv_query_port" && event.has("state")) {
      port_down_ = event.number("state") != 4;
    }
    if (event.what == "ibv_alloc_pd" && port_down_) {
      bool refused = event.number("errno") != 0;
      if (const ProfileRule* rule = rules_.find("port_down")) {
        add("port_down",
            refused ? "with its port down it gives no protection domain"
                    : "with its port down it gives a protection domain",
            refused == rule->names("no-protection-domain"));
      }
    }
  }

  std::vector<ConformanceEntry> finish() {
    for (const Counted& each : kCounted) {
      const ProfileRule* rule = rules_.find(each.rule);
      int64_t most = most_[each.rule];
      if (!rule || most == 0 || refused_.count(each.rule)) continue;
      add(each.rule, fmt::format("gave {} at once", most),
          rule->number == 0 || most <= rule->number);
    }
    return entries_;
  }

 private:
  void add(const std::string& rule, const std::string& did, bool agrees) {
    for (const ConformanceEntry& entry : entries_) {
      if (entry.rule == rule && entry.did == did) return;
    }
    const ProfileRule& known = *rules_.find(rule);
    entries_.push_back({host_, device_, rule, known.says, known.source, did, agrees});
  }

  void count(const Event& event) {
    for (const Counted& each : kCounted) {
      int64_t error = event.number("errno");
      if (event.what == each.ended && error == 0) --live_[each.rule];
      if (event.what != each.made) continue;
      if (error == 0) {
        most_[each.rule] = std::max(most_[each.rule], ++live_[each.rule]);
        continue;
      }
      const ProfileRule* rule = rules_.find(each.rule);
      if (!rule || event.has("type")) continue;
      refused_.insert(each.rule);
      add(each.rule,
          fmt::format("refused one more than {} with {}", live_[each.rule], errno_text(error)),
          live_[each.rule] == rule->number);
    }
  }

  void create_pair(const Event& event) {
    if (event.number("errno") != 0) return;
    if (const ProfileRule* rule = rules_.find("transports")) {
      std::string type = transport_name(event.number("type"));
      add("transports", "gave a queue pair of " + type, rule->names(type));
    }
    int64_t depth = event.granted("send_requests");
    const ProfileRule* least = rules_.find("min_granted");
    if (depth >= 0 && least) {
      add("min_granted", fmt::format("granted {} ({})", depth, event.values.at("send_requests")),
          depth >= least->number);
    }
    int64_t inlined = event.granted("inline_bytes");
    const ProfileRule* most = rules_.find("max_inline");
    if (inlined >= 0 && most) {
      add("max_inline", fmt::format("granted {} bytes", inlined), inlined <= most->number);
    }
  }

  void refuse_request(const Event& event) {
    const ProfileRule* rule = rules_.find("over_post");
    int64_t error = event.number("errno");
    if (!rule || error != ENOMEM) return;
    add("over_post", fmt::format("{} failed with {}", event.what, errno_text(error)),
        rule->names("refuse"));
  }

  const ProfileRules& rules_;
  std::string host_, device_;
  std::map<std::string, int64_t> live_, most_;
  std::set<std::string> refused_;
  bool port_down_ = false;
  std::vector<ConformanceEntry> entries_;
};

}  // namespace

std::vector<ConformanceEntry> conformance_of(const Scenario& scenario, const std::string& host,
                                             const std::string& record) {
  ProfileRules rules(scenario.cluster.spec.profile);
  std::map<std::string, Judge> judges;
  std::istringstream lines(record);
  for (std::string line; std::getline(lines, line);) {
    Event event = read_event(line);
    auto device = event.values.find("device");
    // A rule's own refusals say nothing of the device.
    if (device == event.values.end() || event.has("by")) continue;
    judges.try_emplace(device->second, rules, host, device->second).first->second.hear(event);
  }
  std::vector<ConformanceEntry> entries;
  for (auto& [name, judge] : judges) {
    for (ConformanceEntry& entry : judge.finish()) entries.push_back(std::move(entry));
  }
  return entries;
}

std::string conformance_report(const std::vector<RunReport>& reports) {
  json list = json::array();
  std::set<std::string> seen;
  size_t unlike = 0;
  for (const RunReport& report : reports) {
    for (const ConformanceEntry& entry : report.conformance) {
      std::string key = fmt::format("{} {} {} {}", entry.host, entry.device, entry.rule, entry.did);
      if (!seen.insert(key).second) continue;
      unlike += !entry.agrees;
      list.push_back({{"host", entry.host},
                      {"device", entry.device},
                      {"rule", entry.rule},
                      {"profile", {{"says", entry.says}, {"source", entry.source}}},
                      {"device_did", entry.did},
                      {"agrees", entry.agrees},
                      {"scenario", report.name}});
    }
  }
  json whole = {{"railyard_conformance", 1}, {"unlike", unlike}, {"rules", list}};
  return whole.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace railyard::harness
