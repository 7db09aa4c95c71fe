#include "run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "railyard/report.h"
#include "railyard/run.h"
#include "railyard/scenario.h"

namespace railyard::cli {

using namespace railyard::harness;

namespace {

// A file that cannot be written must be known before anything starts.
void check_writable(const std::string& file) {
  if (file.empty() || file == "-") return;
  bool existed = access(file.c_str(), F_OK) == 0;
  std::ofstream stream(file, std::ios::app);
  if (!stream) throw InputError(file, "", "cannot be written; check the directory");
  stream.close();
  if (!existed) std::remove(file.c_str());
}

void write_json(const std::string& file, const std::vector<RunReport>& reports) {
  if (file.empty()) return;
  std::string text = json_report(reports);
  if (file == "-") {
    std::fputs(text.c_str(), stdout);
    return;
  }
  std::ofstream stream(file, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) throw std::runtime_error(fmt::format("cannot write {}", file));
}

}  // namespace

int run(const RunCommand& command) {
  std::vector<std::string> files =
      find_scenarios(command.paths.empty() ? std::vector<std::string>{"scenarios"} : command.paths);
  // All are read before any is started.
  std::vector<Scenario> scenarios;
  for (const std::string& file : files) {
    for (Scenario& scenario : load_scenarios(file, command.seed)) {
      scenarios.push_back(std::move(scenario));
    }
  }
  check_writable(command.json_file);
  if (!command.hosts_file.empty()) {
    load_hostfile(command.hosts_file);
    fmt::print(
        stderr,
        "{}: the hostfile is well-formed, but starting ranks over ssh is not available yet\n",
        command.hosts_file);
    return kBroken;
  }
  for (const Scenario& scenario : scenarios) check_runnable(scenario);

  // The report goes where it does not mix with the JSON.
  FILE* out = command.json_file == "-" ? stderr : stdout;
  bool colour = isatty(fileno(out)) && std::getenv("NO_COLOR") == nullptr;
  bool many = scenarios.size() > 1;
  RunOptions options;
  options.keep = command.keep;
  options.interrupt = &interrupted;
  std::vector<RunReport> reports;
  for (const Scenario& scenario : scenarios) {
    if (many && colour) fmt::print(out, "...     {}\r", scenario.name);
    std::fflush(out);
    reports.push_back(run_scenario(scenario, options));
    const RunReport& report = reports.back();
    if (many) fmt::print(out, "{}\n", terminal_line(report, colour));
    if (!many || !report.passed || command.verbose) {
      fmt::print(out, "{}\n", terminal_report(report, colour));
    }
    std::fflush(out);
    if (report.interrupted) break;
  }
  fmt::print(out, "{}\n", terminal_summary(reports, colour));
  write_json(command.json_file, reports);
  bool met = true;
  for (const RunReport& report : reports) met = met && report.passed;
  if (interrupted.load() != 0) return 128 + interrupted.load();
  return met ? kMet : kNotMet;
}

}  // namespace railyard::cli
