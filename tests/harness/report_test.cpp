#include "railyard/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace railyard::harness {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

RunReport stuck_report() {
  RunReport report;
  report.file = "scenarios/x.json";
  report.name = "x";
  report.summary = "Something happens.";
  report.seed = 7;
  report.passed = false;
  report.failures = {"the verdict is stuck, expected ok"};
  report.diagnosis = {"stuck", "every rank waits", {"detail"}, {}};
  report.was_stuck = true;
  report.started_ns = 1'000'000;
  report.last_progress_ns = 11'000'000;
  report.verdict_ns = 42'000'000;
  RankReport rank;
  rank.rank = 0;
  rank.waited_for = "rank 0 polls in vain";
  rank.output_tail = "hello\nworld \xff";
  report.ranks = {rank};
  return report;
}

TEST(Terminal, VerdictFirst) {
  std::string text = terminal_report(stuck_report(), false);
  EXPECT_THAT(text, StartsWith("FAILED  stuck: every rank waits\n  detail\n"));
  EXPECT_THAT(text, HasSubstr("    | hello\n    | world"));
  EXPECT_THAT(text, HasSubstr("rank 0 polls in vain"));
  EXPECT_THAT(text, HasSubstr("verdict 31 ms after the last progress, 41 ms after the start"));
  EXPECT_THAT(text, HasSubstr("again   railyard run scenarios/x.json --seed 7"));
}

TEST(Terminal, ColoursOnlyWhereAsked) {
  EXPECT_THAT(terminal_report(stuck_report(), false), Not(HasSubstr("\033")));
  EXPECT_THAT(terminal_report(stuck_report(), true), HasSubstr("\033[31mFAILED\033[0m"));
}

TEST(Terminal, Summary) {
  RunReport passed;
  passed.passed = true;
  EXPECT_EQ(terminal_summary({passed, passed, stuck_report()}, false), "2 passed, 1 failed");
}

TEST(JsonReport, HasAVersionAndSurvivesAnyOutput) {
  std::string text = json_report({stuck_report()});
  EXPECT_THAT(text, StartsWith("{\n  \"railyard_report\": 1,"));
  EXPECT_THAT(text, HasSubstr("\"progress_to_verdict\": 31000000"));
}

}  // namespace
}  // namespace railyard::harness
