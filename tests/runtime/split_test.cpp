#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "yard.h"

namespace railyard::test {
namespace {

using testing::HasSubstr;

class Split : public testing::TestWithParam<const char*> {
 protected:
  std::vector<Outcome> run(int ranks, const std::vector<std::string>& steps) {
    Yard yard("apple-thunderbolt5", ranks);
    auto outcomes = yard.backend(GetParam()).run(steps);
    for (const Outcome& outcome : outcomes) {
      EXPECT_TRUE(outcome.ok()) << "exit " << outcome.exit_code << " signal " << outcome.signal
                                << "\n"
                                << outcome.output;
    }
    return outcomes;
  }
};

TEST_P(Split, SameColour) { run(3, {"split:0,0,0:0,0,0", "barrier"}); }

TEST_P(Split, EvenAndOdd) { run(4, {"split:0,1,0,1:0,0,0,0", "barrier", "both:20"}); }

TEST_P(Split, ReversedKeys) { run(4, {"split:0,0,0,0:3,2,1,0", "split:1,1,2,2:5,-5,0,0"}); }

// A rank alone is done sooner than the others and must not leave them in an exchange.
TEST_P(Split, ThreeGroupsWithALoneRank) {
  auto outcomes = run(4, {"split:0,1,1,2:0,0,0,0", "barrier", "split:7,3,3,3:0,2,1,0", "barrier"});
  EXPECT_THAT(outcomes[0].output, HasSubstr("sub local 0/1"));
}

TEST_P(Split, UndefinedColour) {
  auto outcomes = run(3, {"split:0,-1,0:0,0,0", "barrier"});
  EXPECT_THAT(outcomes[1].output, HasSubstr("sub none"));
}

TEST_P(Split, Nested) {
  run(4, {"split:0,0,1,1:0,0,0,0", "descend", "split:0,1:0,0", "split:0,0:1,0", "barrier"});
}

TEST_P(Split, ManyTimes) {
  std::vector<std::string> steps;
  for (int i = 0; i < 5; ++i) {
    steps.insert(steps.end(), {"split:0,1,0:0,0,0", "split:0,0,0:2,1,0", "drop"});
  }
  run(3, steps);
}

INSTANTIATE_TEST_SUITE_P(Groups, Split, testing::Values("mesh", "ring", "tcp", "tcp-ring"),
                         [](const testing::TestParamInfo<const char*>& place) {
                           std::string name = place.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A Thunderbolt device has ten queue pairs, a group takes two of each: the fifth sub-group beside
// the parent has no room, and goes over TCP on all ranks.
TEST(SplitOverRdma, GivesWayToTcpWhenTheDevicesAreFull) {
  Yard yard("apple-thunderbolt5", 2);
  std::vector<std::string> steps(5, "split:0,0:0,0");
  steps.push_back("both:20");
  for (const Outcome& outcome : yard.backend("mesh").run(steps)) {
    EXPECT_TRUE(outcome.ok()) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("sub mesh"));
    EXPECT_THAT(outcome.output, HasSubstr("sub tcp"));
  }
}

}  // namespace
}  // namespace railyard::test
