#include "worker/result.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace railyard::worker {
namespace {

Result two_operations() {
  Result result;
  result.rank = 1;
  result.backend = "mesh";
  result.operations.resize(2);
  result.operations[0] = {"all_sum", 200, "0123456789abcdef", std::nullopt};
  result.operations[1] = {"barrier", 3, "", std::nullopt};
  return result;
}

TEST(Result, AGoodRun) {
  const auto json = nlohmann::json::parse(to_json(two_operations()));
  EXPECT_EQ(json["rank"], 1);
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["group"]["backend"], "mesh");
  EXPECT_EQ(json["operations"][0]["iterations"], 200);
  EXPECT_EQ(json["operations"][0]["digest"], "0123456789abcdef");
  EXPECT_TRUE(json["operations"][0]["mismatch"].is_null());
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_EQ(exit_code(two_operations()), 0);
}

TEST(Result, WrongData) {
  Result result = two_operations();
  result.operations[0].mismatch = Mismatch{3, 17, "1", "2"};
  const auto json = nlohmann::json::parse(to_json(result));
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["operations"][0]["mismatch"]["index"], 17);
  EXPECT_EQ(json["operations"][0]["mismatch"]["expected"], "2");
  EXPECT_EQ(exit_code(result), 3);
}

TEST(Result, AnErrorIsMoreThanWrongData) {
  Result result = two_operations();
  result.operations[0].mismatch = Mismatch{};
  result.failure = Failure{.code = "peer-dead",
                           .operation = "all_sum",
                           .device = "rdma_en3",
                           .peer = 2,
                           .rail = 0,
                           .error_number = 5,
                           .status = "",
                           .message = "gone"};
  const auto json = nlohmann::json::parse(to_json(result));
  EXPECT_EQ(json["error"]["code"], "peer-dead");
  EXPECT_EQ(json["error"]["peer"], 2);
  EXPECT_EQ(json["error"]["errno"], 5);
  EXPECT_EQ(exit_code(result), 1);
}

TEST(Result, TextThatIsNotUtf8IsReportedAllTheSame) {
  Result result = two_operations();
  result.failure = Failure{};
  result.failure->message = "\xff";
  EXPECT_NO_THROW(nlohmann::json::parse(to_json(result)));
}

}  // namespace
}  // namespace railyard::worker
