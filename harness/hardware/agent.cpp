#include "hardware/agent.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <new>
#include <sstream>

#include "cluster/relay.h"
#include "cluster/reserved_port.h"
#include "cluster/workplace.h"
#include "hardware/channel.h"
#include "platform/executable.h"
#include "platform/process_state.h"
#include "railyard/guard.h"
#include "railyard/passthrough.h"
#include "railyard/process.h"

namespace railyard::harness {

namespace {

using nlohmann::json;
using passthrough::RulePage;

constexpr int kBusyLookMs = 2, kIdleLookMs = 200;
constexpr int64_t kStateEveryNs = 4'000'000;
constexpr int64_t kProcessEveryNs = 20'000'000;
constexpr int64_t kPortsEveryNs = 100'000'000;
constexpr int64_t kSilenceNs = 5'000'000'000;  // without a beat: the harness is gone
constexpr int64_t kInspectionNs = 20'000'000'000;
constexpr int kTailLines = 40;
constexpr size_t kMostRecord = 4 << 20;

std::string text_of(const std::string& file, size_t most) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str().substr(0, most);
}

void replace_run(std::string& text, const std::string& directory) {
  for (size_t at; (at = text.find("{run}")) != std::string::npos;) text.replace(at, 5, directory);
}

// The pass-through library's page, laid out and mapped.
class RulePageFile {
 public:
  explicit RulePageFile(const std::string& path) {
    int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    void* memory = MAP_FAILED;
    if (file >= 0 && ftruncate(file, passthrough::kRulePageBytes) == 0) {
      memory =
          mmap(nullptr, passthrough::kRulePageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (file >= 0) close(file);
    if (memory == MAP_FAILED) throw std::runtime_error("cannot make " + path);
    page_ = new (memory) RulePage;
  }
  ~RulePageFile() { munmap(page_, passthrough::kRulePageBytes); }
  RulePageFile(const RulePageFile&) = delete;
  RulePage& operator*() const { return *page_; }
  RulePage* operator->() const { return page_; }

 private:
  RulePage* page_ = nullptr;
};

// One rank's run: all of it goes with the object.
struct Run {
  Workplace place;
  PageFile page{place.file("page")};
  RulePageFile rules{place.file("rules.page")};
  std::unique_ptr<ReservedPort> port;
  std::unique_ptr<Relay> relay;
  std::unique_ptr<Process> process;
  size_t rule_count = 0;
  bool told_end = false;

  ~Run() {
    if (!process || process->ending()) return;
    process->signal(SIGKILL);
    while (!process->ending()) usleep(1000);
  }
};

class Agent {
 public:
  Agent(int input, int output, std::string self)
      : channel_(input, output), self_(std::move(self)) {}

  int serve() {
    greet();
    heard_ns_ = monotonic_ns();
    while (!channel_.ended()) {
      bool busy = run_ && run_->process && !run_->told_end;
      // As of before the look: an agent that had to wait for a processor itself finds the beats.
      bool late = monotonic_ns() - heard_ns_ > kSilenceNs;
      if (auto message = channel_.receive(busy ? kBusyLookMs : kIdleLookMs)) {
        heard_ns_ = monotonic_ns();
        try {
          hear(*message);
        } catch (const std::exception& error) {
          channel_.send({{"is", "error"}, {"error", error.what()}});
        }
      } else if (late) {
        break;
      }
      if (busy) tell();
    }
    run_.reset();
    return 0;
  }

 private:
  void greet() {
    utsname system{};
    uname(&system);
    channel_.send({{"is", "hello"},
                   {"version", RAILYARD_VERSION},
                   {"system", system.sysname},
                   {"release", system.release},
                   {"machine", system.machine},
                   {"name", system.nodename},
                   {"libraries", passthrough_directory()}});
  }

  void hear(const json& message) {
    std::string what = message.value("do", "");
    if (what == "beat") {
      channel_.send({{"is", "beat"}, {"at", message["at"]}, {"now", monotonic_ns()}});
    } else if (what == "inspect") {
      inspect(message);
    } else if (what == "begin") {
      run_.reset();
      run_ = std::make_unique<Run>();
      last_state_ = json();
      look_ = 0;
      channel_.send({{"is", "begun"}, {"directory", run_->place.path()}});
    } else if (run_) {
      hear_in_run(what, message);
    }
  }

  void hear_in_run(const std::string& what, const json& message) {
    if (what == "port") {
      run_->port = std::make_unique<ReservedPort>(true, message["address"].get<std::string>());
      channel_.send({{"is", "port"}, {"number", run_->port->number()}});
    } else if (what == "relay") {
      // For the relay there are two ranks: the one that it passes on to, and this host's.
      run_->relay = std::make_unique<Relay>(2, message["port"].get<int>(),
                                            message["address"].get<std::string>());
      channel_.send({{"is", "relay"}, {"number", run_->relay->port(1)}});
    } else if (what == "put") {
      run_->place.write(message["name"], message["text"]);
    } else if (what == "start") {
      start(message);
    } else if (what == "page") {
      WorkerPage& page = *run_->page;
      page.stale_requests.store(message["stale_requests"]);
      page.pause_at.store(message["pause_at"], std::memory_order_release);
      page.resumes.store(message["resumes"], std::memory_order_release);
    } else if (what == "rule") {
      auto& rule = run_->rules->rules[message["number"].get<size_t>() % passthrough::kMostRules];
      if (message.contains("armed")) rule.armed.store(1, std::memory_order_release);
      if (message.contains("released")) rule.released.store(1, std::memory_order_release);
    } else if (what == "look") {
      look_ = message["number"];
      process_at_ns_ = state_at_ns_ = 0;
    } else if (what == "signal") {
      if (run_->process) run_->process->signal(message["number"]);
    } else if (what == "side-channel" && run_->relay) {
      move_relay(message);
    }
  }

  void start(const json& message) {
    Launch launch;
    launch.executable = message["executable"];
    launch.arguments = message["arguments"].get<std::vector<std::string>>();
    for (const auto& [name, value] : message["environment"].items()) {
      std::string text = value;
      replace_run(text, run_->place.path());
      launch.environment.emplace_back(name, text);
    }
    launch.unset = message["unset"].get<std::vector<std::string>>();
    run_->rule_count = message["later"].size();
    for (size_t i = 0; i < run_->rule_count; ++i) {
      if (message["later"][i].get<bool>()) run_->rules->rules[i].armed.store(0);
    }
    launch.input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    launch.output =
        open(run_->place.file("output").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    launch.error = launch.output;
    try {
      run_->process = std::make_unique<Process>(launch);
      channel_.send({{"is", "started"}, {"pid", run_->process->pid()}});
    } catch (const std::exception& error) {
      channel_.send({{"is", "started"}, {"error", error.what()}});
    }
    close(launch.input);
    close(launch.output);
  }

  void move_relay(const json& message) {
    Relay& relay = *run_->relay;
    std::string act = message["act"];
    bool on = message.value("on", true);
    if (act == "refuse") relay.refuse(1, on);
    if (act == "cut") relay.cut(1);
    if (act == "hang") relay.hang(1, on);
    if (act == "slow") relay.slow(1, std::chrono::nanoseconds(message["delay_ns"].get<int64_t>()));
    Relay::Counts counts = relay.counts(1);
    channel_.send({{"is", "side-channel"},
                   {"accepted", counts.accepted},
                   {"cut", counts.cut},
                   {"withheld_bytes", counts.withheld_bytes},
                   {"withheld_ends", counts.withheld_ends},
                   {"delayed", counts.delayed}});
  }

  // A child looks at the devices: a library that crashes or hangs takes nobody with it.
  void inspect(const json& message) {
    Workplace place;
    Launch launch;
    launch.executable = self_;
    launch.arguments = {"--inspect"};
    for (const auto& [name, value] : message["environment"].items()) {
      launch.environment.emplace_back(name, value.get<std::string>());
    }
    launch.input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    launch.output =
        open(place.file("found").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    launch.error =
        open(place.file("errors").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    Process process(launch);
    for (int descriptor : {launch.input, launch.output, launch.error}) close(descriptor);
    int64_t deadline = monotonic_ns() + kInspectionNs;
    while (!process.ending() && monotonic_ns() < deadline && !channel_.ended()) {
      auto other = channel_.receive(kBusyLookMs);
      if (other && other->value("do", "") == "beat") hear(*other);
    }
    heard_ns_ = monotonic_ns();
    json found = json::parse(text_of(place.file("found"), kMostRecord), nullptr, false);
    if (!process.ending()) {
      found = {{"error", "the verbs library does not answer within 20 s"}};
    } else if (!found.is_object()) {
      std::string said = tail_of(place.file("errors"), 1);
      found = {{"error", said.empty() ? "the verbs library ended the process" : said}};
    }
    found["is"] = "inspected";
    channel_.send(found);
  }

  json state() {
    const WorkerPage& page = *run_->page;
    const RulePage& rules = *run_->rules;
    json message = {
        {"is", "state"},
        {"look", look_},
        {"page",
         {page.phase.load(), page.pauses.load(), page.stale_inputs.load(), page.position.load(),
          page.iterations.load(), page.started_at_ns.load(), page.connected_at_ns.load(),
          page.began_at_ns.load(), page.finished_at_ns.load(), page.ended_at_ns.load()}},
        {"calls",
         {rules.loaded.load(), rules.inside.load(), rules.calls.load(), rules.posted.load(),
          rules.completed.load(), rules.empty_polls.load()}},
        {"process",
         {static_cast<int>(process_.kind), process_.waits, process_.wait_limit_ns, process_.wakeups,
          process_.cpu_ns, process_.waits_in}}};
    json firings = json::array();
    for (size_t i = 0; i < run_->rule_count; ++i) {
      const auto& rule = rules.rules[i];
      firings.push_back({rule.seen.load(), rule.fired.load(), rule.first_fired_ns.load()});
    }
    message["rules"] = firings;
    json devices = json::object();
    for (const passthrough::DeviceSeen& device : rules.devices) {
      if (device.named.load(std::memory_order_acquire) == 0) continue;
      json refused = json::array();
      for (const auto& each : device.refused) refused.push_back(each.load());
      devices[device.name] = {{"port", device.port_state.load()},
                              {"contexts", device.contexts.load()},
                              {"refused", refused},
                              {"errors", device.errors.load()},
                              {"last_error", device.last_error.load()},
                              {"changed_in_flight", device.changed_in_flight.load()}};
    }
    message["devices"] = devices;
    uint32_t opening = rules.in_device.load();
    bool known = opening > 0 && opening <= passthrough::kMostDevices;
    message["opening"] = known ? rules.devices[opening - 1].name : "";
    return message;
  }

  void tell() {
    int64_t now = monotonic_ns();
    if (now - process_at_ns_ > kProcessEveryNs) {
      process_ = process_state(run_->process->pid());
      process_at_ns_ = now;
    }
    if (now - ports_at_ns_ > kPortsEveryNs) {
      run_->rules->ports_asked.fetch_add(1);
      ports_at_ns_ = now;
    }
    auto ending = run_->process->ending();
    if (now - state_at_ns_ > kStateEveryNs || ending) {
      state_at_ns_ = now;
      json message = state();
      if (message != last_state_) channel_.send(message);
      last_state_ = std::move(message);
    }
    if (!ending) return;
    run_->told_end = true;
    json message = {{"is", "ended"},
                    {"result", text_of(run_->place.file("result.json"), kMostRecord)},
                    {"output", tail_of(run_->place.file("output"), kTailLines)},
                    {"record", text_of(run_->place.file("record"), kMostRecord)}};
    if (ending->exit) message["exit"] = *ending->exit;
    if (ending->signal) message["signal"] = *ending->signal;
    channel_.send(message);
  }

  Channel channel_;
  std::string self_;
  int64_t heard_ns_ = 0, state_at_ns_ = 0, process_at_ns_ = 0, ports_at_ns_ = 0;
  int look_ = 0;  // the number of the last one that was asked for
  std::unique_ptr<Run> run_;
  ProcessState process_;
  json last_state_;
};

}  // namespace

int run_agent(int input, int output, const std::string& self) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);  // the end of the line is what counts
  Guard::start();
  Workplace::sweep();
  return Agent(input, output, self).serve();
}

}  // namespace railyard::harness
