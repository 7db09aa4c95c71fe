#include "hardware/remote_ranks.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "cluster/environment.h"
#include "cluster/ip_address.h"
#include "faults/engine.h"
#include "faults/rules.h"
#include "hardware/conformance.h"
#include "hardware/profile_limits.h"
#include "platform/executable.h"
#include "railyard/passthrough.h"
#include "run/results.h"
#include "scenario/units.h"

namespace railyard::harness {

using nlohmann::json;

namespace {

// Ranks wait for each other while somebody moves a plug.
constexpr Nanoseconds kHandDeadline = std::chrono::seconds(15);

}  // namespace

RemoteRanks::RemoteRanks(const Scenario& scenario, RemoteHosts& hosts, const fabric::Fabric& fabric,
                         const Workplace& workplace, std::vector<PageFile>& pages,
                         const RunOptions& options)
    : scenario_(scenario),
      hosts_(hosts),
      fabric_(fabric),
      workplace_(workplace),
      pages_(pages),
      options_(options),
      placement_(scenario, hosts.plan()),
      relayed_(FaultEngine::needs_relay(scenario)),
      ranks_(static_cast<size_t>(scenario.cluster.ranks)) {}

RemoteRanks::~RemoteRanks() {
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    // A fresh run ends the former one, and all that it started.
    if (ranks_[rank].pid != 0 && !ranks_[rank].ending) {
      hosts_.link(static_cast<int>(rank)).send({{"do", "begin"}});
    }
  }
}

void RemoteRanks::prepare() {
  std::string reason;
  std::vector<std::string> limits = profile_limits(scenario_, reason);
  std::string matrix = matrix_text(placement_.matrix());
  std::string work = work_text(scenario_, scenario_.seed);
  const Host& first = hosts_.plan().hosts[0].host;
  int port = 0;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    HostLink& link = hosts_.link(static_cast<int>(i));
    for (const char* kind : {"state", "ended", "started"}) link.take(kind);
    link.ask({{"do", "begin"}}, "begun");
    link.send({{"do", "put"}, {"name", "matrix.json"}, {"text", matrix}});
    link.send({{"do", "put"}, {"name", "work.json"}, {"text", work}});
    std::string at = first.ips[0];
    if (i == 0) {
      port = link.ask({{"do", "port"}, {"address", at}}, "port")["number"];
    } else if (relayed_) {
      json relay = link.ask({{"do", "relay"}, {"address", at}, {"port", port}}, "relay");
      ranks_[i].coordinator = fmt::format("127.0.0.1:{}", relay["number"].get<int>());
    }
    if (ranks_[i].coordinator.empty()) ranks_[i].coordinator = IpAddress(at, port).endpoint();
    for (const std::string& limit : limits) ranks_[i].rules.push_back(limit);
  }
}

GroupPlan RemoteRanks::group() const {
  GroupPlan group = scenario_.group;
  bool asked = hosts_.options().hand_command.empty() &&
               std::any_of(scenario_.faults.begin(), scenario_.faults.end(), moves_plugs);
  if (asked && group.deadline) group.deadline = std::max(*group.deadline, kHandDeadline);
  return group;
}

json RemoteRanks::environment(int rank) const {
  json variables = json::object();
  auto add = [&](const std::string& name, const std::string& value) { variables[name] = value; };
  const HostEntry& host = hosts_.plan().hosts[static_cast<size_t>(rank)];
  for (const auto& [name, value] : host.environment) add(name, value);
  const std::string& coordinator = ranks_[static_cast<size_t>(rank)].coordinator;
  for (const auto& [name, value] :
       group_environment(rank, coordinator, "{run}/matrix.json", group())) {
    add(name, value);
  }
  if (scenario_.program.empty()) {
    add(kWorkVariable, "{run}/work.json");
    add(kProgressVariable, "{run}/page");
  }
  add(kResultVariable, "{run}/result.json");
  for (const VariablePlan& variable : scenario_.environment) {
    if (variable.value) {
      add(variable.name, variable.is_file ? "{run}/" + variable.name : *variable.value);
    }
  }
  add(loader_variable(), hosts_.library_directory(rank));
  if (!host.library.empty()) add(passthrough::kRealVariable, host.library);
  add(passthrough::kRulesVariable, "{run}/rules");
  add(passthrough::kPageVariable, "{run}/rules.page");
  add(passthrough::kRecordVariable, "{run}/record");
  add(passthrough::kWatchVariable, "1");
  return variables;
}

void RemoteRanks::start(int rank) {
  Rank& self = ranks_[static_cast<size_t>(rank)];
  HostLink& link = hosts_.link(rank);
  std::string rules;
  json later = json::array(), arguments = json::array(), unset = json::array();
  for (const VariablePlan& variable : scenario_.environment) {
    if (!variable.value) unset.push_back(variable.name);
    if (!variable.is_file) continue;
    link.send({{"do", "put"}, {"name", variable.name}, {"text", *variable.value}});
  }
  for (const std::string& rule : self.rules) {
    rules += rule + "\n";
    later.push_back((" " + rule + " ").find(" later ") != std::string::npos);
  }
  link.send({{"do", "put"}, {"name", "rules"}, {"text", rules}});
  send_page(rank);
  std::string program = hosts_.program(rank, scenario_.worker);
  if (!scenario_.program.empty()) {
    program = scenario_.program[0];
    for (size_t i = 1; i < scenario_.program.size(); ++i) arguments.push_back(scenario_.program[i]);
  }
  json answer = link.ask({{"do", "start"},
                          {"executable", program},
                          {"arguments", arguments},
                          {"environment", environment(rank)},
                          {"unset", unset},
                          {"later", later}},
                         "started");
  if (answer.contains("error")) {
    throw std::runtime_error(
        fmt::format("{}: {}", link.name(), answer["error"].get<std::string>()));
  }
  self.pid = answer["pid"];
}

pid_t RemoteRanks::pid(int rank) const { return ranks_[static_cast<size_t>(rank)].pid; }

int64_t RemoteRanks::to_fabric_ns(int rank, int64_t remote_ns) const {
  if (remote_ns == 0) return 0;
  int64_t ago = monotonic_ns() - hosts_.link(rank).to_local_ns(remote_ns);
  return std::max<int64_t>(1, fabric_.now_ns() - ago);
}

void RemoteRanks::take_state(int rank) {
  Rank& self = ranks_[static_cast<size_t>(rank)];
  HostLink& link = hosts_.link(rank);
  json state = link.take("state");
  if (!state.is_object()) return;
  WorkerPage& page = *pages_[static_cast<size_t>(rank)];
  const json& words = state["page"];
  auto time = [&](size_t i) {
    int64_t remote = words[i];
    return remote == 0 ? 0 : link.to_local_ns(remote);
  };
  page.stale_inputs.store(words[2]);
  page.position.store(words[3], std::memory_order_release);
  page.iterations.store(words[4]);
  page.started_at_ns.store(time(5));
  page.connected_at_ns.store(time(6));
  page.began_at_ns.store(time(7));
  page.finished_at_ns.store(time(8));
  page.ended_at_ns.store(time(9));
  page.phase.store(words[0], std::memory_order_release);
  page.pauses.store(words[1], std::memory_order_release);
  if (self.state.is_object()) {
    for (const auto& [device, now_seen] : state["devices"].items()) {
      const json before = self.state["devices"].value(device, json::object()).value("port", 0);
      const json& now = now_seen["port"];
      if (before == 0 || before == now) continue;
      // The page counts states from one; an active port's is 4.
      self.ports_seen.push_back(fmt::format("the port of {} on {} went {}", device, link.name(),
                                            now == 5 ? "up" : "down"));
    }
  }
  self.state = std::move(state);
}

// What faults have written on this machine's copy.
void RemoteRanks::send_page(int rank) {
  const WorkerPage& page = *pages_[static_cast<size_t>(rank)];
  json message = {{"do", "page"},
                  {"pause_at", page.pause_at.load()},
                  {"resumes", page.resumes.load()},
                  {"stale_requests", page.stale_requests.load()}};
  json& sent = ranks_[static_cast<size_t>(rank)].sent_page;
  if (message == sent) return;
  hosts_.link(rank).send(message);
  sent = std::move(message);
}

std::optional<Ending> RemoteRanks::ending(int rank) {
  Rank& self = ranks_[static_cast<size_t>(rank)];
  if (self.ending) return self.ending;
  HostLink& link = hosts_.link(rank);
  json ended = link.take("ended");
  if (ended.is_object()) {
    take_state(rank);
    come_to_an_end(rank, ended);
  } else if (!link.lost().empty()) {
    self.ending = Ending{255, std::nullopt};
    workplace_.write(fmt::format("output.{}", rank),
                     fmt::format("railyard: the host {} is lost: {}\n", link.name(), link.lost()));
  }
  return self.ending;
}

void RemoteRanks::come_to_an_end(int rank, const json& message) {
  Rank& self = ranks_[static_cast<size_t>(rank)];
  Ending ending;
  if (message.contains("exit")) ending.exit = message["exit"].get<int>();
  if (message.contains("signal")) ending.signal = message["signal"].get<int>();
  self.ending = ending;
  self.record = message["record"];
  workplace_.write(fmt::format("output.{}", rank), message["output"]);
  std::string result = message["result"];
  if (!result.empty()) workplace_.write(fmt::format("result.{}.json", rank), result);
}

void RemoteRanks::signal(int rank, int number) {
  hosts_.link(rank).send({{"do", "signal"}, {"number", number}});
}

ProcessState RemoteRanks::state(int rank) {
  ProcessState state;
  const json& told = ranks_[static_cast<size_t>(rank)].state;
  if (!told.is_object()) return state;
  const json& words = told["process"];
  state.kind = static_cast<ProcessState::Kind>(words[0].get<int>());
  state.waits = words[1];
  state.wait_limit_ns = words[2];
  state.wakeups = words[3];
  state.cpu_ns = words[4];
  state.waits_in = words[5];
  return state;
}

std::vector<std::string> RemoteRanks::troubles() const {
  std::vector<std::string> lines;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const HostLink& link = hosts_.link(static_cast<int>(i));
    if (link.lost().empty()) continue;
    lines.push_back(fmt::format("rank {}: the host {} is lost: {}", i, link.name(), link.lost()));
  }
  return lines;
}

std::vector<ConformanceEntry> RemoteRanks::conformance() const {
  std::vector<ConformanceEntry> entries;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const std::string& host = hosts_.plan().hosts[i].host.ssh;
    for (ConformanceEntry& entry : conformance_of(scenario_, host, ranks_[i].record)) {
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

// The library's records, on one clock.
std::vector<RecordedVerb> RemoteRanks::verbs() const {
  std::vector<RecordedVerb> verbs;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    int rank = static_cast<int>(i);
    std::istringstream record(ranks_[i].record);
    for (std::string line; std::getline(record, line);) {
      size_t blank = line.find(' ');
      if (blank == std::string::npos) continue;
      verbs.push_back({rank, to_fabric_ns(rank, std::atoll(line.c_str())), line.substr(blank + 1)});
    }
  }
  std::stable_sort(verbs.begin(), verbs.end(),
                   [](const auto& a, const auto& b) { return a.at_ns < b.at_ns; });
  return verbs;
}

std::string RemoteRanks::shown(const FaultPlan&) const {
  std::string text;
  for (const Rank& rank : ranks_) {
    for (const std::string& change : rank.ports_seen) text += (text.empty() ? "" : "; ") + change;
  }
  return text.empty() ? "no device showed a change of its port" : text;
}

}  // namespace railyard::harness
