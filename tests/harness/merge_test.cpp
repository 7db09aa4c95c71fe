// Reports read back and joined.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "railyard/input_error.h"
#include "railyard/report.h"
#include "recorded_run.h"

namespace railyard::harness {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Merge : public testing::Test {
 protected:
  Merge() { EXPECT_NE(mkdtemp(directory_.data()), nullptr); }
  ~Merge() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) {
    std::string file = directory_ + "/" + name;
    std::ofstream(file) << text;
    return file;
  }
  // A report of a shard of a suite of five, runs named by their places in it.
  std::string shard(size_t index, size_t shards, const std::string& digest = "suite") {
    std::vector<RunReport> runs;
    for (size_t i = index - 1; i < 5; i += shards) {
      runs.push_back(recorded_run());
      runs.back().name = std::to_string(i);
    }
    return write(digest + std::to_string(index) + ".json",
                 json_report(runs, {digest, 5, index, shards}));
  }
  static std::string refusal(const std::vector<std::string>& files) {
    try {
      merge_json_reports(files);
    } catch (const InputError& error) {
      return error.what();
    }
    return "merged";
  }

 private:
  std::string directory_ = testing::TempDir() + "railyard-merge-XXXXXX";
};

TEST_F(Merge, WhatIsReadIsWhatWasWritten) {
  RunReport quiet;
  quiet.name = "quiet";
  quiet.passed = true;
  json before = json::parse(json_report({recorded_run(), quiet}, {"abc", 2, 1, 1}));
  SuiteReport read = read_json_report(write("a.json", before.dump()));
  json after = json::parse(json_report(read.runs, read.suite));
  // The messages themselves are not in the file.
  before["runs"][0]["traffic"]["messages_kept"] = 0;
  EXPECT_EQ(json::diff(before, after), json::array());
}

TEST_F(Merge, ShardsInTheOrderOfTheSuite) {
  MergedReport merged = merge_json_reports({shard(3, 3), shard(1, 3), shard(2, 3)});
  std::vector<std::string> names;
  for (const RunReport& run : merged.whole.runs) names.push_back(run.name);
  EXPECT_THAT(names, ElementsAre("0", "1", "2", "3", "4"));
  EXPECT_THAT(merged.missing, IsEmpty());
  EXPECT_EQ(merged.whole.suite.shards, 1u);
}

TEST_F(Merge, AMissingShardIsTold) {
  EXPECT_THAT(merge_json_reports({shard(3, 3), shard(1, 3)}).missing, ElementsAre(2u));
}

TEST_F(Merge, TheSameShardTwice) {
  EXPECT_THAT(refusal({shard(1, 2), shard(1, 2)}), HasSubstr("suite/shard: shard 1/2 is in"));
}

TEST_F(Merge, TwoSuites) {
  EXPECT_THAT(refusal({shard(1, 2), shard(2, 2, "other")}), HasSubstr("other2.json: suite: "));
}

TEST_F(Merge, SuitesCutInDifferentWays) {
  EXPECT_THAT(refusal({shard(1, 2), shard(2, 3)}), HasSubstr("suite/shards: is shard 2 of 3"));
}

TEST_F(Merge, TheSameScenarioTwice) {
  std::vector<RunReport> runs = {recorded_run(), recorded_run()};
  std::string file = write("twice.json", json_report(runs, {"abc", 2, 1, 1}));
  EXPECT_THAT(refusal({file}), HasSubstr("twice.json: runs/1: x is in this report, too"));
}

TEST_F(Merge, AnotherVersion) {
  json report = json::parse(json_report({recorded_run()}));
  report["railyard_report"] = 99;
  EXPECT_THAT(refusal({write("new.json", report.dump())}),
              HasSubstr("new.json: railyard_report: is version 99"));
}

TEST_F(Merge, NoReport) {
  EXPECT_THAT(refusal({write("x.json", "{}")}), HasSubstr("x.json: is no report"));
  EXPECT_THAT(refusal({write("y.json", "[1")}), HasSubstr("y.json:1:"));
  EXPECT_THAT(refusal({"/nowhere.json"}), HasSubstr("there is no such file"));
}

TEST_F(Merge, AFieldOfAnotherType) {
  json report = json::parse(json_report({recorded_run()}));
  report["runs"][0]["cables"][0]["ends"] = {"alone"};
  EXPECT_THAT(refusal({write("z.json", report.dump())}), HasSubstr("runs/0/cables/0"));
}

}  // namespace
}  // namespace railyard::harness
