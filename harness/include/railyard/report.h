// What a run is told as.
#pragma once

#include <string>
#include <vector>

#include "railyard/run.h"

namespace railyard::harness {

// The version of the JSON report; it grows when a field changes its meaning or goes.
inline constexpr int kReportVersion = 1;

// The scenarios that a run was asked for, of which a shard may have run only a part.
struct Suite {
  std::string digest;    // of the scenarios' names, in their order
  size_t scenarios = 0;  // in all shards
  size_t shard = 1, shards = 1;
};
std::string suite_digest(const std::vector<std::string>& names);

// The whole story for a terminal: the verdict first, then what each rank waited for, the faults
// with their evidence, the ends of the ranks' output, and the command that runs it again.
std::string terminal_report(const RunReport& report, bool colour);

// One line: "ok    cable-swap  crossed-rails in 41 ms".
std::string terminal_line(const RunReport& report, bool colour);

// "7 passed, 1 failed"
std::string terminal_summary(const std::vector<RunReport>& reports, bool colour);

// See report.schema.json, which report_schema() returns.
std::string json_report(const std::vector<RunReport>& reports, const Suite& suite = {});
const char* report_schema();

struct SuiteReport {
  Suite suite;
  std::vector<RunReport> runs;  // their records hold what JSON does: cables, waits, counts
};
// Reads what json_report() wrote. Throws InputError.
SuiteReport read_json_report(const std::string& file);
// Joins the reports of a suite's shards; runs are ordered as one machine would have run them.
// Throws InputError where they do not belong together.
struct MergedReport {
  SuiteReport whole;
  std::vector<size_t> missing;  // shards without a report
};
MergedReport merge_json_reports(const std::vector<std::string>& files);

// JUnit XML: a test case per scenario.
std::string junit_report(const std::vector<RunReport>& reports);

// One self-contained page. Runs without a record lack their drawings.
std::string html_report(const std::vector<RunReport>& reports);

// The following tell what the runs' records hold; runs without one are left out.

// Trace Event Format, for ui.perfetto.dev and Chrome.
std::string trace_report(const std::vector<RunReport>& reports);

// A pcapng file that Wireshark dissects as RoCEv2.
std::string capture_report(const std::vector<RunReport>& reports);

// What devices of hosts did, rule by rule, against their profiles: JSON.
std::string conformance_report(const std::vector<RunReport>& reports);

// For one scenario again: "railyard run scenarios/x.json --seed 7".
std::string command_again(const RunReport& report);

}  // namespace railyard::harness
