// `railyard report merge`: the reports of a suite's shards as one.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "railyard/report.h"
#include "run.h"

namespace railyard::cli {

using namespace railyard::harness;

int merge(const MergeCommand& command) {
  command.outputs.check();
  MergedReport merged = merge_json_reports(command.files);
  const SuiteReport& whole = merged.whole;
  FILE* out = command.outputs.to_stdout() ? stderr : stdout;
  bool colour = isatty(fileno(out)) && std::getenv("NO_COLOR") == nullptr;
  for (const RunReport& report : whole.runs) {
    if (!report.passed) fmt::print(out, "{}\n", terminal_line(report, colour));
  }
  fmt::print(out, "{}\n", terminal_summary(whole.runs, colour));
  command.outputs.write(whole.runs, whole.suite);
  for (size_t shard : merged.missing) {
    fmt::print(stderr, "railyard report: shard {}/{} is missing\n", shard,
               merged.missing.size() + command.files.size());
  }
  if (merged.missing.empty() && whole.runs.size() < whole.suite.scenarios) {
    fmt::print(stderr, "railyard report: {} of {} scenarios have no run\n",
               whole.suite.scenarios - whole.runs.size(), whole.suite.scenarios);
  }
  int code = exit_code(whole.runs);
  return code == kMet && whole.runs.size() < whole.suite.scenarios ? kNotMet : code;
}

}  // namespace railyard::cli
