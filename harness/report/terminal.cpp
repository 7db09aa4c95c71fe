#include <fmt/format.h>

#include <sstream>

#include "railyard/report.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

struct Ink {
  bool colour;
  std::string paint(const char* code, const std::string& text) const {
    return colour ? fmt::format("\033[{}m{}\033[0m", code, text) : text;
  }
  std::string good(const std::string& text) const { return paint("32", text); }
  std::string bad(const std::string& text) const { return paint("31", text); }
  std::string strong(const std::string& text) const { return paint("1", text); }
  std::string faint(const std::string& text) const { return paint("2", text); }
};

std::string status(const RunReport& report, const Ink& ink) {
  if (!report.skipped.empty()) return ink.faint("skipped");
  if (report.passed) return ink.good("passed");
  return ink.bad(report.interrupted ? "interrupted" : "FAILED");
}

std::string ending(const RankReport& rank) {
  if (rank.ended_by_harness) return "ended with the run";
  if (rank.ended_by_fault) return "killed by a fault";
  if (rank.signal) return fmt::format("signal {}", *rank.signal);
  if (rank.exit) return fmt::format("exit {}", *rank.exit);
  return "not started";
}

void tell_crash(std::string& out, const CrashReport& crash, const Ink& ink) {
  out += fmt::format("    {}", crash.signal);
  if (!crash.verb.empty()) out += fmt::format("; its last verb was {}", crash.verb);
  if (!crash.core.empty()) out += fmt::format("; core: {}", crash.core);
  out += "\n";
  for (const std::string& line : crash.events) out += ink.faint("    . " + line) + "\n";
}

void tell_rank(std::string& out, const RunReport& report, const RankReport& rank, const Ink& ink) {
  out += fmt::format("  rank {}  {}", rank.rank, ending(rank));
  if (!rank.backend.empty()) out += fmt::format(", {} ({})", rank.backend, rank.backend_reason);
  out += "\n";
  if (!rank.waited_for.empty()) out += fmt::format("    {}\n", rank.waited_for);
  if (rank.error) out += fmt::format("    {}: {}\n", rank.error->code, rank.error->message);
  if (rank.crash) tell_crash(out, *rank.crash, ink);
  if (report.passed || rank.output_tail.empty()) return;
  std::istringstream lines(rank.output_tail);
  for (std::string line; std::getline(lines, line);) out += ink.faint("    | " + line) + "\n";
}

}  // namespace

std::string command_again(const RunReport& report) {
  return fmt::format("railyard run {} --seed {}", report.file, report.seed);
}

std::string terminal_line(const RunReport& report, bool colour) {
  Ink ink{colour};
  if (!report.skipped.empty()) {
    return fmt::format("{}  {:<28} {}", status(report, ink), report.name, report.skipped);
  }
  std::string time = report.was_stuck
                         ? fmt::format("{} after the last progress",
                                       format_ns(report.verdict_ns - report.last_progress_ns))
                         : fmt::format("in {}", format_ns(report.verdict_ns - report.started_ns));
  std::string line = fmt::format("{}  {:<28} {} {}", status(report, ink), report.name,
                                 report.diagnosis.verdict, ink.faint(time));
  if (!report.passed && !report.failures.empty()) line += ": " + report.failures.front();
  return line;
}

std::string terminal_report(const RunReport& report, bool colour) {
  Ink ink{colour};
  if (!report.skipped.empty()) {
    return fmt::format("{}  {}: {}\n", status(report, ink), report.name, report.skipped);
  }
  std::string out;
  out += fmt::format("{}  {}: {}\n", status(report, ink), ink.strong(report.diagnosis.verdict),
                     report.diagnosis.headline);
  for (const std::string& line : report.diagnosis.details) out += fmt::format("  {}\n", line);
  for (const std::string& line : report.failures) out += ink.bad("  " + line) + "\n";
  for (const std::string& line : report.unchecked) out += fmt::format("  not checked: {}\n", line);
  out += fmt::format("\n{}\n{}\n", ink.strong(report.name), report.summary);
  for (const RankReport& rank : report.ranks) tell_rank(out, report, rank, ink);
  for (const FaultReport& fault : report.faults) {
    out += fmt::format("  fault   {} ({}): ", fault.name, fault.when);
    if (!fault.fired) {
      out += "did not fire\n";
      continue;
    }
    out += fmt::format("fired at {}: {}{}\n", format_ns(fault.at_ns - report.started_ns),
                       fault.evidence, fault.changed ? "" : " (no change)");
  }
  if (!report.passed && !report.trace_tail.empty()) {
    out += "  last events\n";
    for (const std::string& line : report.trace_tail) out += ink.faint("    " + line) + "\n";
  }
  if (report.was_stuck) {
    out += fmt::format("  verdict {} after the last progress, {} after the start\n",
                       format_ns(report.verdict_ns - report.last_progress_ns),
                       format_ns(report.verdict_ns - report.started_ns));
  }
  out += fmt::format("  took    {}\n", format_ns(report.total_ns));
  if (!report.kept_directory.empty()) out += fmt::format("  kept    {}\n", report.kept_directory);
  if (report.diagnosis.verdict != "ok") {
    out += fmt::format("  explain railyard explain {}\n", report.diagnosis.verdict);
  }
  out += fmt::format("  again   {}\n", command_again(report));
  return out;
}

std::string terminal_summary(const std::vector<RunReport>& reports, bool colour) {
  Ink ink{colour};
  size_t passed = 0, skipped = 0;
  for (const RunReport& report : reports) {
    passed += report.passed;
    skipped += !report.skipped.empty();
  }
  size_t failed = reports.size() - passed - skipped;
  std::string text = fmt::format("{} passed, {} failed", passed, failed);
  if (skipped) text += fmt::format(", {} skipped", skipped);
  return failed ? ink.bad(text) : ink.good(text);
}

}  // namespace railyard::harness
