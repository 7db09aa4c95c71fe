#include "run/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace railyard::harness {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

RankReport rank_with(int rank, const std::string& digest, const std::string& mismatch = "") {
  RankReport report;
  report.rank = rank;
  report.operations = {{"all_sum", 5, digest, mismatch}};
  return report;
}

TEST(Data, EqualDigestsAgree) {
  EXPECT_FALSE(check_data({rank_with(0, "aa"), rank_with(1, "aa")}));
}

TEST(Data, DifferentDigests) {
  auto found = check_data({rank_with(0, "aa"), rank_with(1, "bb")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->verdict, "data-mismatch");
  EXPECT_THAT(found->headline, HasSubstr("aa on rank 0 and bb on rank 1"));
}

TEST(Data, NoDigestIsNotCompared) {
  EXPECT_FALSE(check_data({rank_with(0, ""), rank_with(1, "bb")}));
}

TEST(Data, RankThatStoppedEarlierIsNotCompared) {
  RankReport early = rank_with(1, "bb");
  early.operations[0].iterations = 3;
  EXPECT_FALSE(check_data({rank_with(0, "aa"), early}));
}

TEST(Data, Mismatch) {
  auto found = check_data({rank_with(0, "aa", "all_sum, iteration 3: element 7 is 1, expected 2")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->headline, "rank 0: all_sum, iteration 3: element 7 is 1, expected 2");
}

class Expectations : public testing::Test {
 protected:
  Expectations() {
    report.diagnosis.verdict = "ok";
    report.ranks.resize(2);
    report.ranks[1].rank = 1;
    report.ranks[0].rank = 0;
    for (RankReport& rank : report.ranks) rank.exit = 0;
  }
  std::vector<std::string> failures() {
    check_expectations(scenario, report);
    return report.failures;
  }
  Scenario scenario;
  RunReport report;
};

TEST_F(Expectations, Met) {
  EXPECT_THAT(failures(), IsEmpty());
  EXPECT_TRUE(report.passed);
}

TEST_F(Expectations, OtherVerdict) {
  report.diagnosis.verdict = "stuck";
  EXPECT_THAT(failures(), ElementsAre("the verdict is stuck, expected ok"));
}

TEST_F(Expectations, NameMissing) {
  scenario.expect.verdict_names = {"c1"};
  report.diagnosis.names = {"c2", "c3"};
  EXPECT_THAT(failures(), ElementsAre("the verdict does not name c1; it names c2, c3"));
}

TEST_F(Expectations, RankEndedOtherwise) {
  scenario.expect.ranks[-1].error = "peer-dead";
  scenario.expect.ranks[0].exit = 0;
  EXPECT_THAT(failures(), ElementsAre("rank 1: no error, exit 0, expected error peer-dead"));
}

TEST_F(Expectations, TooLate) {
  scenario.expect.within = std::chrono::milliseconds(5);
  report.ended_ns = 6'000'000;
  EXPECT_THAT(failures(), ElementsAre("the run took 6 ms, expected at most 5 ms"));
}

TEST_F(Expectations, FaultThatDidNotFire) {
  FaultReport fault;
  fault.name = "cable.swap";
  fault.when = "20 ms after the start";
  fault.failure = "did not fire";
  report.faults = {fault};
  EXPECT_THAT(failures(), ElementsAre("the fault cable.swap (20 ms after the start) did not fire"));
}

TEST(ExpectsEnd, OnlyWhereSaid) {
  Scenario scenario;
  scenario.expect.ranks[0].error = "completion-error";
  EXPECT_TRUE(expects_end(scenario, 0));
  EXPECT_FALSE(expects_end(scenario, 1));
  scenario.expect.ranks[-1].error = "none";
  EXPECT_FALSE(expects_end(scenario, 1));
}

}  // namespace
}  // namespace railyard::harness
