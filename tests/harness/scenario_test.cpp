#include "railyard/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

#include "railyard/verdict.h"

namespace railyard::harness {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Scenario, TheExampleOfTheManual) {
  Scenario scenario = parse_scenario("dir/cable-swap.json", R"({
    "summary": "s",
    "cluster": {
      "profile": "apple-thunderbolt5", "nodes": 2,
      "cables": {"c1": ["node0/rdma_en3", "node1/rdma_en3"], "c2": ["node0/rdma_en4", "node1/rdma_en4"]}
    },
    "group": {"backend": "ring", "deadline": "2s"},
    "workload": [{"op": "barrier"}, {"op": "all_sum", "dtype": "float16", "count": 14336, "repeat": 200}],
    "faults": [{"when": {"rank": 0, "op": "all_sum", "iteration": 50}, "do": "cable.swap",
                "cables": ["c1", "c2"], "end": "node1"}],
    "expect": {"verdict": "crossed-rails", "ranks": {"*": {"error": "peer-unreachable"}, "1": {"exit": 1}},
               "within": "3s"}
  })");
  EXPECT_EQ(scenario.name, "cable-swap");
  EXPECT_THAT(scenario.cluster.spec.nodes[1].devices, ElementsAre("rdma_en3", "rdma_en4"));
  EXPECT_EQ(scenario.group.deadline, std::chrono::seconds(2));
  ASSERT_EQ(scenario.faults.size(), 1u);
  const FaultPlan& fault = scenario.faults[0];
  EXPECT_EQ(fault.kind, FaultKind::cable_swap);
  ASSERT_TRUE(fault.when.at_operation);
  EXPECT_EQ(fault.when.at_operation->operation, 1u);
  EXPECT_EQ(fault.when.at_operation->iteration, 50u);
  EXPECT_EQ(fault.when.text, "rank 0 before iteration 50 of all_sum");
  EXPECT_EQ(scenario.expect.ranks.at(-1).error, "peer-unreachable");
  EXPECT_EQ(scenario.expect.ranks.at(1).exit, 1);
}

TEST(Scenario, CablesAreLaidByDefault) {
  Scenario scenario = parse_scenario("x.json", R"({"summary": "s", "workload": [],
    "cluster": {"profile": "apple-thunderbolt5", "nodes": ["a", "b", "c"], "rails": 2}})");
  EXPECT_EQ(scenario.cluster.spec.cables.size(), 6u);
  EXPECT_EQ(scenario.cluster.spec.cables[0].ends[0].substr(0, 2), "a/");
}

TEST(Scenario, VerbFault) {
  Scenario scenario =
      parse_scenario("x.json", R"({"summary": "s", "cluster": {"nodes": 2}, "workload": [],
    "faults": [{"when": {"rank": 1, "verb": "ibv_create_qp", "nth": 2}, "do": "verb.fail", "errno": "EBUSY"},
               {"when": {"rank": 1}, "do": "receive.delay-until-arrival", "expect": "did-not-fire"}]})");
  EXPECT_EQ(scenario.faults[0].error_number, EBUSY);
  EXPECT_EQ(scenario.faults[0].when.at_verb->nth, 2u);
  EXPECT_EQ(scenario.faults[1].when.at_verb->verb, "ibv_post_recv");
  EXPECT_EQ(scenario.faults[1].expected, FaultOutcome::did_not_fire);
}

TEST(Scenario, RankFaults) {
  Scenario scenario = parse_scenario("x.json", R"({"summary": "s", "cluster": {"nodes": 2},
    "program": ["true"],
    "faults": [{"when": {"after": "1ms"}, "do": "rank.stop", "rank": 1, "for": "5ms"}],
    "expect": {"ranks": {"1": {"signal": "SIGKILL"}}}})");
  EXPECT_EQ(scenario.faults[0].rank, 1);
  EXPECT_EQ(scenario.faults[0].duration, std::chrono::milliseconds(5));
  EXPECT_EQ(scenario.expect.ranks.at(1).signal, SIGKILL);
}

TEST(Scenario, ShippedOnesAreWellFormed) {
  std::vector<std::string> files = find_scenarios({RAILYARD_SCENARIOS});
  EXPECT_GT(files.size(), 5u);
  for (const std::string& file : files) {
    EXPECT_NO_THROW(load_scenario(file)) << file;
    EXPECT_THAT(file, testing::Not(HasSubstr("schema")));
  }
}

TEST(Verdict, EachHasAPage) {
  for (const VerdictPage& page : verdict_pages()) {
    EXPECT_THAT(page.text, HasSubstr(std::string("# ") + page.name));
  }
  EXPECT_EQ(find_verdict("no-such"), nullptr);
}

}  // namespace
}  // namespace railyard::harness
