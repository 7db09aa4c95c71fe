#include "run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <thread>

#include "railyard/hosts.h"
#include "railyard/report.h"
#include "railyard/run.h"
#include "railyard/scenario.h"

namespace railyard::cli {

using namespace railyard::harness;

namespace {

// Messages that records keep, over all runs together.
constexpr size_t kMostMessages = 250'000, kFewestMessages = 2'000;

RunReport report_on(const Scenario& scenario) {
  RunReport report;
  report.file = scenario.file;
  report.name = scenario.name;
  report.summary = scenario.summary;
  report.seed = scenario.seed;
  report.expected_verdict = scenario.expect.verdict_text();
  return report;
}

// One scenario that the harness itself cannot run must not end the others.
RunReport run_one(const Scenario& scenario, const RunOptions& options) {
  try {
    if (options.hosts) {
      RunReport report = report_on(scenario);
      report.skipped = options.hosts->obstacle(scenario);
      if (!report.skipped.empty()) return report;
    }
    return run_scenario(scenario, options);
  } catch (const std::exception& error) {
    RunReport report = report_on(scenario);
    report.broken = true;
    report.failures = {error.what()};
    report.diagnosis = {"error", fmt::format("railyard itself failed: {}", error.what()), {}, {}};
    return report;
  }
}

// Tells of each run as it ends: much where one was asked for or it failed, else a line; on a
// terminal also which ones are under way. Thread-safe.
class Teller {
 public:
  Teller(FILE* out, size_t count, bool verbose)
      : out_(out),
        colour_(isatty(fileno(out)) && std::getenv("NO_COLOR") == nullptr),
        count_(count),
        verbose_(verbose) {}

  void begin(const Scenario& scenario) {
    std::lock_guard lock(mutex_);
    under_way_.push_back(scenario.name);
    show_progress();
  }

  void end(const RunReport& report) {
    std::lock_guard lock(mutex_);
    ++told_;
    auto ended = std::find(under_way_.begin(), under_way_.end(), report.name);
    if (ended != under_way_.end()) under_way_.erase(ended);
    if (colour_) fmt::print(out_, "\033[K");
    if (count_ > 1) fmt::print(out_, "{}\n", terminal_line(report, colour_));
    bool failed = !report.passed && report.skipped.empty();
    if (count_ == 1 || failed || verbose_) {
      fmt::print(out_, "{}\n", terminal_report(report, colour_));
    }
    show_progress();
  }

  void summary(const std::vector<RunReport>& reports) {
    fmt::print(out_, "{}\n", terminal_summary(reports, colour_));
    std::fflush(out_);
  }

 private:
  void show_progress() {
    if (count_ > 1 && colour_ && !under_way_.empty()) {
      std::string names = fmt::format("{}", fmt::join(under_way_, ", "));
      fmt::print(out_, "\033[K[{}/{}] {:.60}\r", told_, count_, names);
    }
    std::fflush(out_);
  }

  std::mutex mutex_;
  FILE* out_;
  bool colour_;
  size_t count_, told_ = 0;
  bool verbose_;
  std::vector<std::string> under_way_;
};

// Runs all, so many at a time; what was not begun before an interruption is left out.
std::vector<RunReport> run_all(const std::vector<Scenario>& scenarios, const RunOptions& options,
                               int jobs, Teller& teller) {
  std::vector<std::optional<RunReport>> reports(scenarios.size());
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i; (i = next.fetch_add(1)) < scenarios.size() && interrupted.load() == 0;) {
      teller.begin(scenarios[i]);
      reports[i] = run_one(scenarios[i], options);
      teller.end(*reports[i]);
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < jobs; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  std::vector<RunReport> told;
  for (auto& report : reports) {
    if (report) told.push_back(std::move(*report));
  }
  return told;
}

// The scenarios of shard i of n: every nth.
std::vector<Scenario> shard_of(std::vector<Scenario> scenarios, const Shard& shard) {
  std::vector<Scenario> chosen;
  for (size_t i = 0; i < scenarios.size(); ++i) {
    if (i % shard.count == shard.index - 1) chosen.push_back(std::move(scenarios[i]));
  }
  return chosen;
}

Suite suite_of(const std::vector<Scenario>& scenarios, const Shard& shard) {
  std::vector<std::string> names;
  for (const Scenario& scenario : scenarios) names.push_back(scenario.name);
  return {suite_digest(names), scenarios.size(), shard.index, shard.count};
}

// Another executable as the ranks of the scenarios that run a program; its arguments stay.
void replace_program(Scenario& scenario, const std::string& program) {
  if (!program.empty() && !scenario.program.empty()) scenario.program[0] = program;
}

// The hosts, before any rank starts: a table of them, and a line for each that cannot be used.
int look_over(Hosts& hosts) {
  Hosts::Preflight preflight = hosts.preflight();
  fmt::print(stderr, "{}", preflight.table);
  for (const std::string& problem : preflight.problems) fmt::print(stderr, "{}\n", problem);
  if (preflight.problems.empty()) return kMet;
  return preflight.bad_input ? kBadInput : kBroken;
}

}  // namespace

int exit_code(const std::vector<RunReport>& reports) {
  if (interrupted.load() != 0) return 128 + interrupted.load();
  bool met = true, broken = false;
  for (const RunReport& report : reports) {
    met = met && (report.passed || !report.skipped.empty());
    broken = broken || report.broken;
  }
  return broken ? kBroken : met ? kMet : kNotMet;
}

int run(const RunCommand& command) {
  std::vector<std::string> files = find_scenarios(
      command.paths.empty() ? std::vector<std::string>{default_scenarios()} : command.paths);
  // All are read before any is started.
  std::vector<Scenario> scenarios;
  for (const std::string& file : files) {
    for (Scenario& scenario : load_scenarios(file, command.seed)) {
      scenarios.push_back(std::move(scenario));
    }
  }
  Suite suite = suite_of(scenarios, command.shard);
  scenarios = shard_of(std::move(scenarios), command.shard);
  for (Scenario& scenario : scenarios) replace_program(scenario, command.program);
  command.outputs.check();
  std::unique_ptr<Hosts> hosts;
  if (command.hosts.file.empty()) {
    for (const Scenario& scenario : scenarios) check_runnable(scenario);
  } else {
    hosts = std::make_unique<Hosts>(command.hosts);
    if (int code = look_over(*hosts); code != kMet) return code;
  }

  RunOptions options;
  options.keep = command.keep;
  options.interrupt = &interrupted;
  options.hosts = hosts.get();
  if (command.outputs.any()) {
    options.record_messages =
        std::max(kFewestMessages, kMostMessages / std::max<size_t>(1, scenarios.size()));
  }
  // What people read goes where it does not mix with a report.
  Teller teller(command.outputs.to_stdout() ? stderr : stdout, scenarios.size(), command.verbose);
  // Hosts take one scenario at a time.
  int jobs = hosts ? 1 : command.jobs;
  std::vector<RunReport> reports = run_all(scenarios, options, jobs, teller);
  teller.summary(reports);
  command.outputs.write(reports, suite);
  return exit_code(reports);
}

}  // namespace railyard::cli
