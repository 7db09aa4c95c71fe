#include "run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <thread>

#include "railyard/report.h"
#include "railyard/run.h"
#include "railyard/scenario.h"

namespace railyard::cli {

using namespace railyard::harness;

namespace {

// Messages that records keep, over all runs together.
constexpr size_t kMostMessages = 250'000, kFewestMessages = 2'000;

// One scenario that the harness itself cannot run must not end the others.
RunReport run_one(const Scenario& scenario, const RunOptions& options) {
  try {
    return run_scenario(scenario, options);
  } catch (const std::exception& error) {
    RunReport report;
    report.file = scenario.file;
    report.name = scenario.name;
    report.summary = scenario.summary;
    report.seed = scenario.seed;
    report.expected_verdict = scenario.expect.verdict_text();
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
    if (count_ == 1 || !report.passed || verbose_) {
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

}  // namespace

int exit_code(const std::vector<RunReport>& reports) {
  if (interrupted.load() != 0) return 128 + interrupted.load();
  bool met = true, broken = false;
  for (const RunReport& report : reports) {
    met = met && report.passed;
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
  if (!command.hosts_file.empty()) {
    load_hostfile(command.hosts_file);
    fmt::print(
        stderr,
        "{}: the hostfile is well-formed, but starting ranks over ssh is not available yet\n",
        command.hosts_file);
    return kBroken;
  }
  for (const Scenario& scenario : scenarios) check_runnable(scenario);

  RunOptions options;
  options.keep = command.keep;
  options.interrupt = &interrupted;
  if (command.outputs.any()) {
    options.record_messages =
        std::max(kFewestMessages, kMostMessages / std::max<size_t>(1, scenarios.size()));
  }
  // What people read goes where it does not mix with a report.
  Teller teller(command.outputs.to_stdout() ? stderr : stdout, scenarios.size(), command.verbose);
  std::vector<RunReport> reports = run_all(scenarios, options, command.jobs, teller);
  teller.summary(reports);
  command.outputs.write(reports, suite);
  return exit_code(reports);
}

}  // namespace railyard::cli
