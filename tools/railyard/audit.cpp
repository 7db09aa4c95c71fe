// `railyard audit`: whether the harness catches what is broken and stays quiet where nothing is.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <vector>

#include "railyard/report.h"
#include "railyard/run.h"
#include "railyard/scenario.h"
#include "run.h"

namespace railyard::cli {

using namespace railyard::harness;

namespace {

enum class Finding { caught, missed, quiet, false_alarm };

Finding finding_of(const Scenario& scenario, const RunReport& report) {
  if (scenario.twin || scenario.expect.met_by("ok")) {
    return report.passed ? Finding::quiet : Finding::false_alarm;
  }
  return report.passed ? Finding::caught : Finding::missed;
}

const char* name(Finding finding) {
  switch (finding) {
    case Finding::caught:
      return "caught";
    case Finding::missed:
      return "MISSED";
    case Finding::quiet:
      return "quiet";
    case Finding::false_alarm:
      return "FALSE ALARM";
  }
  return "";
}

std::string who(const Scenario& scenario) {
  if (!scenario.program.empty()) return scenario.program[0];
  return scenario.variant.empty() ? scenario.worker : scenario.variant;
}

double latency_ms(const RunReport& report) {
  return static_cast<double>(report.verdict_ns - report.last_progress_ns) / 1e6;
}

class Audit {
 public:
  explicit Audit(const AuditCommand& command) : command_(command) {}

  // Reads all before anything is started.
  void load() {
    std::vector<std::string> paths = command_.paths;
    if (paths.empty()) paths = {"scenarios/known-bugs"};
    files_ = find_scenarios(paths);
    for (const std::string& file : files_) {
      for (const Scenario& scenario : load_scenarios(file, command_.seed)) check_runnable(scenario);
    }
  }

  int run() {
    if (command_.repeat == 1) {
      fmt::print("{:<28} {:<22} {:<28} {:<28} {:>8}  {}\n", "scenario", "program", "demanded",
                 "verdict", "latency", "finding");
    }
    for (uint64_t round = 0; round < command_.repeat; ++round) {
      std::optional<uint64_t> seed = command_.seed;
      if (command_.repeat > 1) seed = command_.seed.value_or(1) + round;
      for (const std::string& file : files_) {
        for (const Scenario& scenario : load_scenarios(file, seed)) {
          if (!run_one(scenario)) return 128 + interrupted.load();
        }
      }
    }
    tell_latencies();
    fmt::print("{} caught, {} missed; healthy: {} quiet, {} false alarms\n", of(Finding::caught),
               of(Finding::missed), of(Finding::quiet), of(Finding::false_alarm));
    return of(Finding::missed) + of(Finding::false_alarm) == 0 ? kMet : kNotMet;
  }

 private:
  size_t of(Finding finding) const { return count_[static_cast<size_t>(finding)]; }

  bool run_one(const Scenario& scenario) {
    RunOptions options;
    options.interrupt = &interrupted;
    RunReport report = run_scenario(scenario, options);
    if (report.interrupted) return false;
    Finding finding = finding_of(scenario, report);
    ++count_[static_cast<size_t>(finding)];
    if (report.was_stuck) latencies_[report.diagnosis.verdict].push_back(latency_ms(report));
    bool bad = finding == Finding::missed || finding == Finding::false_alarm;
    if (command_.repeat == 1 || bad) tell(scenario, report, finding);
    return true;
  }

  static void tell(const Scenario& scenario, const RunReport& report, Finding finding) {
    std::string latency = report.was_stuck ? fmt::format("{:.0f} ms", latency_ms(report)) : "-";
    fmt::print("{:<28} {:<22} {:<28} {:<28} {:>8}  {}\n", scenario.name, who(scenario),
               scenario.expect.verdict_text(), report.diagnosis.verdict, latency, name(finding));
    for (const std::string& failure : report.failures) {
      fmt::print("    seed {}: {}\n", report.seed, failure);
    }
    std::fflush(stdout);
  }

  // Of runs that were found stuck: from the last progress to the verdict.
  void tell_latencies() {
    if (latencies_.empty()) return;
    fmt::print("\n{:<28} {:>6} {:>10} {:>10}\n", "stuck runs by verdict", "runs", "median",
               "longest");
    for (auto& [verdict, times] : latencies_) {
      std::sort(times.begin(), times.end());
      fmt::print("{:<28} {:>6} {:>7.0f} ms {:>7.0f} ms\n", verdict, times.size(),
                 times[times.size() / 2], times.back());
    }
    fmt::print("\n");
  }

  AuditCommand command_;
  std::vector<std::string> files_;
  size_t count_[4] = {};
  std::map<std::string, std::vector<double>> latencies_;
};

}  // namespace

int audit(const AuditCommand& command) {
  Audit audit(command);
  audit.load();
  return audit.run();
}

}  // namespace railyard::cli
