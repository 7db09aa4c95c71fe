// The reports of a suite's shards as one.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "railyard/input_error.h"
#include "railyard/report.h"

namespace railyard::harness {

namespace {

class Merge {
 public:
  void add(const std::string& file) {
    SuiteReport report = read_json_report(file);
    check_suite(file, report.suite);
    auto [shard, added] = shards_.try_emplace(report.suite.shard, file, std::vector<RunReport>{});
    if (!added) {
      throw InputError(file, "suite/shard",
                       fmt::format("shard {}/{} is in {}, too; name each shard once",
                                   report.suite.shard, suite_.shards, shard->second.first));
    }
    for (size_t i = 0; i < report.runs.size(); ++i) check_run(file, i, report.runs[i]);
    shard->second.second = std::move(report.runs);
  }

  MergedReport finish() && {
    MergedReport merged;
    size_t most = 0;
    for (size_t i = 1; i <= suite_.shards; ++i) {
      if (shards_.count(i) == 0) merged.missing.push_back(i);
    }
    for (const auto& [number, shard] : shards_) most = std::max(most, shard.second.size());
    // A shard has every nth scenario.
    for (size_t k = 0; k < most; ++k) {
      for (auto& [number, shard] : shards_) {
        if (k < shard.second.size()) merged.whole.runs.push_back(std::move(shard.second[k]));
      }
    }
    merged.whole.suite = {suite_.digest, suite_.scenarios, 1, 1};
    return merged;
  }

 private:
  void check_suite(const std::string& file, const Suite& suite) {
    if (first_.empty()) {
      first_ = file;
      suite_ = suite;
    }
    if (suite.digest != suite_.digest || suite.scenarios != suite_.scenarios) {
      throw InputError(file, "suite",
                       fmt::format("its {} scenarios are not the {} of {}; merge the shards of one "
                                   "suite",
                                   suite.scenarios, suite_.scenarios, first_));
    }
    if (suite.shards != suite_.shards || suite.shard > suite.shards) {
      throw InputError(file, "suite/shards",
                       fmt::format("is shard {} of {}, {} is one of {}; cut the suite into the "
                                   "same number of shards everywhere",
                                   suite.shard, suite.shards, first_, suite_.shards));
    }
  }

  void check_run(const std::string& file, size_t index, const RunReport& run) {
    auto [before, added] = runs_.try_emplace({run.file, run.name}, file);
    if (added) return;
    throw InputError(file, fmt::format("runs/{}", index),
                     fmt::format("{} is in {}, too; name each run once", run.name,
                                 before->second == file ? "this report" : before->second));
  }

  std::string first_;
  Suite suite_;
  std::map<size_t, std::pair<std::string, std::vector<RunReport>>> shards_;  // with their files
  std::map<std::pair<std::string, std::string>, std::string> runs_;          // to their files
};

}  // namespace

MergedReport merge_json_reports(const std::vector<std::string>& files) {
  Merge merge;
  for (const std::string& file : files) merge.add(file);
  return std::move(merge).finish();
}

}  // namespace railyard::harness
