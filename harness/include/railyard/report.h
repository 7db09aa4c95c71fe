// What a run is told as.
#pragma once

#include <string>
#include <vector>

#include "railyard/run.h"

namespace railyard::harness {

// The version of the JSON report; it grows when a field changes its meaning or goes.
inline constexpr int kReportVersion = 1;

// The whole story for a terminal: the verdict first, then what each rank waited for, the faults
// with their evidence, the ends of the ranks' output, and the command that runs it again.
std::string terminal_report(const RunReport& report, bool colour);

// One line: "ok    cable-swap  crossed-rails in 41 ms".
std::string terminal_line(const RunReport& report, bool colour);

// "7 passed, 1 failed"
std::string terminal_summary(const std::vector<RunReport>& reports, bool colour);

// See report.schema.json, which report_schema() returns.
std::string json_report(const std::vector<RunReport>& reports);
const char* report_schema();

// JUnit XML: a test case per scenario.
std::string junit_report(const std::vector<RunReport>& reports);

// One self-contained page. Runs without a record lack their drawings.
std::string html_report(const std::vector<RunReport>& reports);

// The following tell what the runs' records hold; runs without one are left out.

// Trace Event Format, for ui.perfetto.dev and Chrome.
std::string trace_report(const std::vector<RunReport>& reports);

// A pcapng file that Wireshark dissects as RoCEv2.
std::string capture_report(const std::vector<RunReport>& reports);

// For one scenario again: "railyard run scenarios/x.json --seed 7".
std::string command_again(const RunReport& report);

}  // namespace railyard::harness
