#include "railyard/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <optional>

#include "railyard/verdict.h"

namespace railyard::harness {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Scenario, CablesAsARing) {
  Scenario scenario = parse_scenario("x.json", R"({"summary": "s", "workload": [],
    "cluster": {"profile": "apple-thunderbolt5", "nodes": 3, "cables": "ring", "rails": 2}})");
  const fabric::ClusterSpec& spec = scenario.cluster.spec;
  ASSERT_EQ(spec.cables.size(), 6u);
  EXPECT_THAT(spec.cables[1].ends, ElementsAre("node0/rdma_en5", "node1/rdma_en4"));
  EXPECT_THAT(spec.cables[4].ends, ElementsAre("node2/rdma_en3", "node0/rdma_en2"));
  DeviceMatrix matrix = matrix_of(spec, 0);
  EXPECT_THAT(matrix[2][0], ElementsAre("rdma_en3", "rdma_en5"));
  EXPECT_THAT(matrix[0][2], ElementsAre("rdma_en2", "rdma_en4"));
}

TEST(Scenario, TheRanksEnvironment) {
  Scenario scenario = parse_scenario("x.json", R"({"summary": "s", "workload": [],
    "cluster": {"nodes": 2}, "environment": {"A": "1", "B": null, "C": {"file": "[[]]"}}})");
  ASSERT_EQ(scenario.environment.size(), 3u);
  EXPECT_EQ(scenario.environment[0].value, "1");
  EXPECT_EQ(scenario.environment[1].value, std::nullopt);
  EXPECT_TRUE(scenario.environment[2].is_file);
  EXPECT_EQ(scenario.environment[2].value, "[[]]");
}

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

// Ten swaps of any two of four cables, at any of a thousand messages.
std::string drawn(std::optional<uint64_t> seed, const std::string& chance = "1") {
  Scenario scenario = parse_scenario("x.json",
                                     R"({
    "summary": "s", "workload": [], "seed": 7,
    "cluster": {"profile": "apple-thunderbolt5", "nodes": 2, "rails": 4},
    "faults": [{"repeat": 10, "chance": )" +
                                         chance + R"(,
                "when": {"cable": {"any": "cables"}, "message": {"between": [1, 1000]}},
                "do": "cable.swap", "cables": {"any": "cables", "count": 2}, "end": {"any": ["node1"]}}]
  })",
                                     seed);
  std::string text;
  for (const FaultPlan& fault : scenario.faults) {
    EXPECT_NE(fault.cables.at(0), fault.cables.at(1));
    EXPECT_GE(fault.when.at_message->nth, 1u);
    EXPECT_LE(fault.when.at_message->nth, 1000u);
    text += fault.when.text + " " + fault.cables[0] + fault.cables[1] + "\n";
  }
  return text;
}

TEST(Scenario, ASeedDrawsTheSameFaultsAgain) {
  EXPECT_EQ(drawn(3), drawn(3));
  EXPECT_EQ(drawn({}), drawn(7));
  EXPECT_NE(drawn(3), drawn(4));
}

TEST(Scenario, AChanceLeavesSomeFaultsOut) {
  EXPECT_EQ(drawn(3, "0"), "");
  auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  EXPECT_EQ(lines(drawn(3)), 10);
  int all = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) all += static_cast<int>(lines(drawn(seed, "0.5")));
  EXPECT_GT(all, 150);  // of 500; 250 are expected, and the draws are the same every time
  EXPECT_LT(all, 350);
}

TEST(Scenario, AFaultAtAMessageStrikesItsCableUnlessItNamesAnother) {
  Scenario scenario = parse_scenario("x.json", R"({
    "summary": "s", "workload": [], "cluster": {"profile": "apple-thunderbolt5", "nodes": 2, "rails": 2},
    "faults": [{"when": {"cable": "c2", "message": 9, "from": "node1"}, "do": "cable.unplug"},
               {"when": {"cable": "c2", "message": 9}, "do": "cable.unplug", "cable": "c1"}]})");
  EXPECT_THAT(scenario.faults[0].cables, ElementsAre("c2"));
  EXPECT_EQ(scenario.faults[0].when.at_message->from_end, 1);
  EXPECT_FALSE(scenario.faults[0].fires_in_fabric());
  EXPECT_THAT(scenario.faults[1].cables, ElementsAre("c1"));
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
