// Every kind of bad input, and the one line that answers it.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "railyard/scenario.h"

namespace railyard::harness {
namespace {

std::string answer(const std::string& text) {
  try {
    parse_scenario("bad.json", text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

// A scenario whose cluster or further keys are as given.
std::string with_cluster(const std::string& cluster) {
  return answer(R"({"summary": "s", "workload": [], "cluster": )" + cluster + "}");
}
std::string with(const std::string& more) {
  return answer(R"({"summary": "s", "cluster": {"nodes": 2}, )" + more + "}");
}
std::string with_fault(const std::string& fault) {
  return with(R"("workload": [{"op": "all_sum", "repeat": 20}], "faults": [)" + fault + "]");
}

TEST(ScenarioError, UnknownKey) {
  EXPECT_EQ(answer(R"({"sumary": "s"})"),
            "bad.json: unknown key 'sumary'; did you mean 'summary'?");
  EXPECT_EQ(with_cluster(R"({"nodez": 2})"),
            "bad.json: cluster: unknown key 'nodez'; did you mean 'nodes'?");
}

TEST(ScenarioError, WrongType) {
  EXPECT_EQ(answer(R"({"summary": 5})"), "bad.json: summary: 5 stands where a text is expected");
  EXPECT_EQ(with(R"("workload": [{"op": "all_sum", "repeat": "x"}])"),
            "bad.json: workload/0/repeat: \"x\" stands where a whole number is expected");
  EXPECT_EQ(with(R"("workload": {})"), "bad.json: workload: {} stands where an array is expected");
}

TEST(ScenarioError, MissingKey) {
  EXPECT_EQ(answer(R"({"summary": "s"})"), "bad.json: the key 'cluster' is missing; add it");
}

TEST(ScenarioError, MissingUnit) {
  EXPECT_EQ(
      with(R"("workload": [], "group": {"deadline": 2000})"),
      "bad.json: group/deadline: 2000 has no unit; write it as \"2000ms\" (ns, us, ms, s, min)");
  EXPECT_EQ(
      with(R"("workload": [], "expect": {"within": "3"})"),
      "bad.json: expect/within: \"3\" has no unit; write it as \"20ms\" (ns, us, ms, s, min)");
  EXPECT_EQ(
      with(R"("workload": [{"op": "send_recv", "bytes": 64}])"),
      "bad.json: workload/0/bytes: 64 has no unit; write it as \"64B\" (B, KiB, MiB, GiB, kB, "
      "MB, GB)");
}

TEST(ScenarioError, CableEndThatDoesNotExist) {
  EXPECT_EQ(with_cluster(R"({"nodes": 2, "cables": {"c1": ["node0/a", "node7/a"]}})"),
            "bad.json: cluster/cables/c1/1: there is no node 'node7'; did you mean 'node0'?");
  EXPECT_EQ(with_cluster(R"({"nodes": [{"name": "a", "devices": ["rdma_en3"]}, "b"],
                             "cables": {"c1": ["a/rdma_en4", "b/rdma_en3"]}})"),
            "bad.json: cluster/cables/c1/0: a has no device 'rdma_en4'; did you mean 'rdma_en3'?");
  EXPECT_EQ(with_cluster(R"({"nodes": 2, "cables": {"c1": ["node0/a", "hub"]}})"),
            "bad.json: cluster/cables/c1/1: 'hub' names no device; write node/device "
            "('node0/rdma_en3') or a switch");
}

TEST(ScenarioError, DeviceUsedByTwoCables) {
  EXPECT_EQ(
      with_cluster(R"({"nodes": 2, "cables": {"c1": ["node0/a", "node1/a"],
                                                    "c2": ["node0/a", "node1/b"]}})"),
      "bad.json: cluster/cables/c2/0: node0/a is already used by cable 'c1'; a device has one "
      "port for one cable");
}

TEST(ScenarioError, CableWithOneEnd) {
  EXPECT_EQ(with_cluster(R"({"nodes": 2, "cables": {"c1": ["node0/a"]}})"),
            "bad.json: cluster/cables/c1: a cable has two ends, not 1");
}

TEST(ScenarioError, UnknownProfile) {
  EXPECT_EQ(with_cluster(R"({"nodes": 2, "profile": "aple-thunderbolt5"})"),
            "bad.json: cluster/profile: there is no profile 'aple-thunderbolt5'; did you mean "
            "'apple-thunderbolt5'?");
}

TEST(ScenarioError, UnknownFieldOfAProfile) {
  EXPECT_EQ(with_cluster(R"({"nodes": 2, "overrides": {"rules": {"no_recieve": {"is": "drop"}}}})"),
            "bad.json: cluster: profile permissive: rules/no_recieve: no such field");
}

TEST(ScenarioError, MatrixThatIsNotSquare) {
  EXPECT_EQ(with(R"("workload": [], "group": {"matrix": [[null, "yard0"], ["yard0"]]})"),
            "bad.json: group/matrix/1: the matrix is not square: this row has 1 cells, there are 2 "
            "rows; write one cell per rank");
  EXPECT_EQ(with(R"("workload": [], "group": {"matrix": [[null, "yard0"]]})"),
            "bad.json: group/matrix: the matrix has 1 rows for 2 ranks; write one row per rank");
}

TEST(ScenarioError, LocalGroupOfTwo) {
  EXPECT_EQ(with(R"("workload": [], "group": {"backend": "local"})"),
            "bad.json: group/backend: a local group has one rank, this cluster has 2");
}

TEST(ScenarioError, MatrixWithAnUnknownDevice) {
  EXPECT_EQ(with(R"("workload": [], "group": {"matrix": [[null, "yard9"], ["yard0", null]]})"),
            "bad.json: group/matrix/0/1: node0 has no device 'yard9'; did you mean 'yard0'?");
}

TEST(ScenarioError, NotJson) {
  EXPECT_EQ(answer("{\n  \"summary\": \"s\",\n  nodes\n}"),
            "bad.json:3:4: not JSON: expected string literal");
  EXPECT_EQ(answer(R"({"summary": "a", "summary": "b"})"),
            "bad.json: the key 'summary' is given twice in one object; keep one");
}

TEST(ScenarioError, NumberThatIsTooLarge) {
  EXPECT_EQ(answer(R"({"summary": 1e999})"),
            "bad.json: '1e999' is larger than any number may be; write a smaller one");
}

TEST(ScenarioError, FileThatIsNotThere) {
  try {
    load_scenario("/nowhere/x.json");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "/nowhere/x.json: there is no such file; check the path");
  }
  EXPECT_THROW(find_scenarios({"/nowhere"}), InputError);
}

TEST(ScenarioError, UnknownVerdict) {
  EXPECT_EQ(with(R"("workload": [], "expect": {"verdict": "crosed-rails"})"),
            "bad.json: expect/verdict: 'crosed-rails' is not known; did you mean 'crossed-rails'?");
}

TEST(ScenarioError, RankThatIsNotThere) {
  EXPECT_EQ(
      with(R"("workload": [], "expect": {"ranks": {"2": {"exit": 0}}})"),
      "bad.json: expect/ranks: there is no rank '2'; use \"0\" to \"1\", or \"*\" for the rest");
}

TEST(ScenarioError, FaultOnAnUnknownCable) {
  EXPECT_EQ(with_fault(R"({"when": {"after": "1ms"}, "do": "cable.unplug", "cable": "x9"})"),
            "bad.json: faults/0/cable: there is no cable 'x9'; known here: c1, c2");
}

TEST(ScenarioError, FaultBeyondTheLastIteration) {
  EXPECT_EQ(
      with_fault(R"({"when": {"rank": 0, "op": "all_sum", "iteration": 20}, "do": "rank.kill"})"),
      "bad.json: faults/0/when/iteration: all_sum is repeated 20 times; name an iteration from 0 "
      "to 19");
}

TEST(ScenarioError, FaultAtNoMoment) {
  EXPECT_EQ(with_fault(R"({"when": {"rank": 0}, "do": "rank.kill"})"),
            "bad.json: faults/0/when: this names no moment; add \"after\", \"op\", \"verb\" or "
            "\"message\"");
}

TEST(ScenarioError, FaultWithAKeyOfAnother) {
  EXPECT_EQ(
      with_fault(R"({"when": {"after": "1ms"}, "do": "rank.kill", "rank": 0, "errno": "EIO"})"),
      "bad.json: faults/0: unknown key 'errno'; known here: when, do, expect, chance, "
      "repeat, rank");
}

TEST(ScenarioError, FaultAtTwoMoments) {
  EXPECT_EQ(with_fault(R"({"when": {"after": "1ms", "message": 3}, "do": "rank.kill", "rank": 0})"),
            "bad.json: faults/0/when: 'after' and 'message' name two moments; keep one");
}

TEST(ScenarioError, FaultInAnUnknownVerb) {
  EXPECT_EQ(with_fault(R"({"when": {"rank": 0, "verb": "ibv_post_sent"}, "do": "verb.block"})"),
            "bad.json: faults/0/when/verb: there is no verb 'ibv_post_sent'; did you mean "
            "'ibv_post_send'?");
}

TEST(ScenarioError, FaultFromAnEndThatACableDoesNotHave) {
  EXPECT_EQ(with_fault(R"({"when": {"cable": "c1", "from": "node1", "message": 1},
                           "do": "message.drop"})"),
            "bad.json: faults/0/when/from: cable 'c1' has no end at 'node1'; its ends are at node0 "
            "and switch0");
}

TEST(ScenarioError, MessageFaultThatNamesItsCableTwice) {
  EXPECT_EQ(with_fault(R"({"when": {"cable": "c1", "message": 1}, "do": "message.drop",
                           "cable": "c1"})"),
            "bad.json: faults/0/cable: \"when\" says this already; drop it here");
}

TEST(ScenarioError, FaultOnADeviceThatIsNotThere) {
  EXPECT_EQ(
      with_fault(R"({"when": {"after": "0s"}, "do": "device.fail", "device": "node0/yard9"})"),
      "bad.json: faults/0/device: there is no device 'node0/yard9'; did you mean "
      "'node0/yard0'?");
}

TEST(ScenarioError, MiswiredIntoAPortThatIsTaken) {
  EXPECT_EQ(with_fault(R"({"when": {"after": "0s"}, "do": "cable.miswire", "cable": "c1",
                           "to": "node1/yard0"})"),
            "bad.json: faults/0/to: node1/yard0 has a cable, 'c2'; name a device without one, or "
            "use cable.swap");
}

TEST(ScenarioError, BadGid) {
  EXPECT_EQ(with_fault(R"({"when": {"after": "0s"}, "do": "gid.set", "device": "node0/yard0",
                           "index": 1, "to": "10.0.0"})"),
            "bad.json: faults/0/to: '10.0.0' is no GID; write an IPv6 or IPv4 address, or "
            "\"empty\"");
}

TEST(ScenarioError, SideChannelOfRankZero) {
  EXPECT_EQ(
      with_fault(R"({"when": {"after": "0s"}, "do": "side-channel.cut", "rank": 0})"),
      "bad.json: faults/0/rank: rank 0 is where the side channel leads to; name another rank");
}

TEST(ScenarioError, BadDraws) {
  EXPECT_EQ(with_fault(R"({"when": {"after": {"between": ["9ms", "1ms"]}}, "do": "rank.kill",
                           "rank": 0})"),
            "bad.json: faults/0/when/after/between: the least stands first; exchange the two");
  EXPECT_EQ(with_fault(R"({"when": {"after": "1ms"}, "do": "rank.kill", "rank": {"any": "rank"}})"),
            "bad.json: faults/0/rank/any: 'rank' is not known; did you mean 'ranks'?");
  EXPECT_EQ(with_fault(R"({"when": {"after": "1ms"}, "do": "cable.swap", "end": "node0",
                           "cables": {"any": "cables", "count": 3}})"),
            "bad.json: faults/0/cables/count: 3 is out of range; it must be from 1 to 2");
  EXPECT_EQ(with_fault(R"({"chance": 2, "when": {"after": "1ms"}, "do": "rank.kill", "rank": 0})"),
            "bad.json: faults/0/chance: a chance is a number between 0 and 1");
}

TEST(ScenarioError, VariantOfAWorkerThatHasNone) {
  EXPECT_EQ(with(R"("workload": [], "worker": "railyard-rank", "variant": "late-receive")"),
            "bad.json: variant: railyard-rank has no variants; use the worker railyard-faulty");
}

TEST(ScenarioError, ProgramAndWorkload) {
  EXPECT_EQ(with(R"("workload": [], "program": ["true"])"),
            "bad.json: program: a program brings its own work; drop \"workload\"");
}

// The own checks must leave nothing for the schema to find in what they know; what only the schema
// knows is still refused.
TEST(ScenarioError, TheSchemaIsANet) {
  EXPECT_EQ(with(R"("workload": [], "$schema": 5)").rfind("bad.json: $schema: ", 0), 0u);
}

class Hostfile : public testing::Test {
 protected:
  std::string answer_to(const std::string& text) {
    std::ofstream(path_) << text;
    try {
      load_hostfile(path_);
    } catch (const InputError& error) {
      return std::string(error.what()).substr(path_.size());
    }
    return "accepted";
  }
  void TearDown() override { std::remove(path_.c_str()); }

  std::string path_ =
      (std::filesystem::temp_directory_path() / ("hosts." + std::to_string(getpid()) + ".json"))
          .string();
};

TEST_F(Hostfile, BothForms) {
  EXPECT_EQ(answer_to(R"([{"ssh": "a", "ips": ["10.0.0.1"]}, {"ssh": "b", "ips": ["10.0.0.2"]}])"),
            "accepted");
  EXPECT_EQ(answer_to(R"({"backend": "jaccl", "hosts": [
                {"ssh": "a", "ips": ["10.0.0.1"], "rdma": [null, "rdma_en5"]},
                {"ssh": "b", "ips": [], "rdma": [["rdma_en3"], null]}]})"),
            "accepted");
}

TEST_F(Hostfile, NotSquare) {
  EXPECT_EQ(answer_to(R"([{"ssh": "a", "rdma": [null, "x"]}, {"ssh": "b", "rdma": [null]}])"),
            ": 1/rdma: the matrix is not square: 1 cells for 2 hosts; write one per host, null for "
            "itself");
}

TEST_F(Hostfile, BadCell) {
  EXPECT_EQ(answer_to(R"([{"ssh": "a", "rdma": [null, 5]}, {"ssh": "b", "rdma": ["x", null]}])"),
            ": 0/rdma/1: a cell is null, a device's name, or an array of names");
}

TEST_F(Hostfile, OneDirectionMissing) {
  EXPECT_EQ(answer_to(R"([{"ssh": "a", "rdma": [null, "x"]}, {"ssh": "b", "rdma": [null, null]}])"),
            ": 0/rdma/1: 1 rails lead to b, 0 come back; name both ends of each cable");
}

TEST_F(Hostfile, JacclWithoutDevices) {
  EXPECT_EQ(answer_to(R"({"backend": "jaccl", "hosts": [{"ssh": "a"}]})"),
            ": hosts/0: the key 'rdma' is missing; add the device to each peer");
}

}  // namespace
}  // namespace railyard::harness
