// The table of operations, the schema, and what is said of workloads that do not fit.
#include "railyard/workload.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "railyard/scenario.h"

namespace railyard::harness {
namespace {

std::string answer(const std::string& operation, int nodes = 2) {
  try {
    parse_scenario("bad.json", R"({"summary": "s", "cluster": {"nodes": )" + std::to_string(nodes) +
                                   R"(}, "workload": [)" + operation + "]}");
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Workload, TheSchemaKnowsWhatTheTableDoes) {
  const auto schema = nlohmann::json::parse(scenario_schema());
  const auto& operation = schema["definitions"]["operation"]["properties"];
  std::set<std::string> names, keys = {"op", "repeat"}, dtypes;
  for (const OperationKind& kind : kOperationKinds) {
    names.insert(kind.name);
    for (const Parameter& parameter : kind.parameters) keys.insert(parameter.name);
  }
  std::set<std::string> schema_keys;
  for (const auto& [key, value] : operation.items()) schema_keys.insert(key);
  EXPECT_EQ(operation["op"]["enum"].get<std::set<std::string>>(), names);
  EXPECT_EQ(schema_keys, keys);
  dtypes.insert(std::begin(kDtypeNames), std::end(kDtypeNames));
  EXPECT_EQ(operation["dtype"]["enum"].get<std::set<std::string>>(), dtypes);
}

TEST(Workload, WhatIsLeftOutIsAccepted) {
  for (const OperationKind& kind : kOperationKinds) {
    const bool list = !kind.parameters.empty() && kind.parameters[0].required;
    const std::string more = list ? R"(, "operations": [{"op": "barrier"}])" : "";
    EXPECT_EQ(answer(R"({"op": ")" + std::string(kind.name) + "\"" + more + "}"), "accepted");
  }
}

TEST(Workload, UnknownKeysNameTheNearest) {
  EXPECT_EQ(answer(R"({"op": "moe_decode", "layer": 43})"),
            "bad.json: workload/0: unknown key 'layer'; did you mean 'layers'?");
  EXPECT_EQ(answer(R"({"op": "moe_decod"})"),
            "bad.json: workload/0/op: 'moe_decod' is not known; did you mean 'moe_decode'?");
  EXPECT_EQ(
      answer(R"({"op": "loop", "operations": [{"op": "barrier"}, {"op": "all_sum", "cuont": 1}]})"),
      "bad.json: workload/0/operations/1: unknown key 'cuont'; did you mean 'count'?");
}

TEST(Workload, ValuesAreChecked) {
  EXPECT_EQ(answer(R"({"op": "moe_decode", "wire": "int8"})")
                .rfind("bad.json: workload/0/wire: 'int8' is not known", 0),
            0u);
  EXPECT_EQ(answer(R"({"op": "moe_decode", "layers": 0})"),
            "bad.json: workload/0/layers: 0 is out of range; it must be from 1 to 1024");
  EXPECT_EQ(answer(R"({"op": "tensor_parallel_decode", "bits": 5})"),
            "bad.json: workload/0/bits: weights have 4, 8 or 16 bits");
  EXPECT_EQ(answer(R"({"op": "gradient_averaging", "batch": 5})")
                .rfind("bad.json: workload/0/batch: 5 has no unit", 0),
            0u);
  EXPECT_EQ(answer(R"({"op": "moe_decode", "experts": 8, "top_k": 9})"),
            "bad.json: workload/0/top_k: top_k is more than experts, which is 8");
  EXPECT_EQ(answer(R"({"op": "moe_decode", "experts": 3})"),
            "bad.json: workload/0: top_k is more than experts, which is 3");
  EXPECT_EQ(answer(R"({"op": "send_recv", "from": 1})"),
            "bad.json: workload/0: 'from' and 'to' are the same rank; name two different ones");
  EXPECT_EQ(answer(R"({"op": "send_recv"})", 1),
            "bad.json: workload/0: 'to' is rank 1 where it is left out; there is none among 1");
}

TEST(Workload, RanksShareEqually) {
  EXPECT_EQ(
      answer(R"({"op": "tensor_parallel_decode", "width": 100})", 3),
      "bad.json: workload/0/width: width of 100 cannot be shared by 3 ranks; take a multiple of 3");
  EXPECT_EQ(
      answer(R"({"op": "tensor_parallel_decode", "width": 96})", 3),
      "bad.json: workload/0: hidden of 512 cannot be shared by 3 ranks; take a multiple of 3");
  EXPECT_EQ(answer(R"({"op": "tensor_parallel_decode", "width": 96, "hidden": 96, "bits": 8})", 2),
            "bad.json: workload/0/width: width of 96 cannot be shared by 2 ranks in groups of 32; "
            "take a multiple of 64");
  EXPECT_EQ(answer(R"({"op": "tensor_parallel_decode", "width": 96, "hidden": 96, "bits": 8})", 3),
            "accepted");
}

TEST(Workload, StagesShareTheRanksEqually) {
  const std::string narrow =
      R"({"op": "tensor_parallel_decode", "width": 6, "hidden": 2, "stages": )";
  EXPECT_EQ(answer(narrow + "2}", 4), "accepted");
  EXPECT_EQ(
      answer(narrow + "1}", 4),
      "bad.json: workload/0/width: width of 6 cannot be shared by 4 ranks; take a multiple of 4");
  EXPECT_EQ(answer(narrow + "3}", 4),
            "bad.json: workload/0/stages: 4 ranks cannot be split into 3 equal stages");
  EXPECT_EQ(answer(narrow + R"(4, "layers": 3})", 4),
            "bad.json: workload/0/stages: stages is more than layers, which is 3");
}

TEST(Workload, ListsHoldPlainOperations) {
  EXPECT_EQ(
      answer(R"({"op": "loop", "operations": [{"op": "mix", "operations": [{"op": "barrier"}]}]})"),
      "bad.json: workload/0/operations/0/op: a mix within a list; lists hold plain operations");
  EXPECT_EQ(answer(R"({"op": "mix", "operations": []})"),
            "bad.json: workload/0/operations: an empty list; name an operation");
  EXPECT_EQ(answer(R"({"op": "mix"})"),
            "bad.json: workload/0: the key 'operations' is missing; add it");
}

}  // namespace
}  // namespace railyard::harness
