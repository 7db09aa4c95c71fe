// Each kind of operation: right where it is, and found out where it is not.
#include "railyard-rank/tasks/task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "deaf_group.h"

namespace railyard::rank {
namespace {

using worker::parse_work;
using worker::Work;

// A workload of one operation on one rank of a group.
class OneRank {
 public:
  OneRank(const std::string& operation, int rank, int size)
      : group(rank, size),
        work_(parse_work("{\"workload\": [" + operation + "]}", std::max(size, 2))) {}

  Finding step(uint32_t iteration = 0) {
    if (!task_) task_ = make_task(work_.operations[0], context_.draw(0, 0), context_);
    return task_->step(context_.draw(0, iteration), digest);
  }

  DeafGroup group;
  Digest digest;

 private:
  Work work_;
  worker::Progress progress_;
  Context context_{group, progress_, 1};
  std::unique_ptr<Task> task_;
};

const char* const kTensorParallel =
    R"({"op": "tensor_parallel_decode", "layers": 3, "width": 64, "hidden": 128, "tokens": 2})";
const char* const kQuantized =
    R"({"op": "tensor_parallel_decode", "layers": 2, "width": 64, "hidden": 128, "bits": 4})";
const char* const kPipeline = R"({"op": "pipeline_decode", "layers": 4, "width": 33})";
const char* const kExperts =
    R"({"op": "moe_decode", "layers": 3, "width": 100, "experts": 5, "top_k": 5})";
const char* const kGradients = R"({"op": "gradient_averaging", "layers": 3, "width": 20})";
const char* const kLoad = R"({"op": "model_load", "layers": 3, "bytes": "100B"})";
const char* const kModels[] = {kTensorParallel, kQuantized, kPipeline, kExperts, kGradients, kLoad};

const char* const kPlain[] = {
    R"({"op": "all_sum", "count": 50, "dtype": "int32"})",
    R"({"op": "all_max", "count": 50, "dtype": "complex64", "in_place": true})",
    R"({"op": "all_min", "count": 50, "dtype": "bfloat16", "rounded": true})",
    R"({"op": "sum_scatter", "count": 50, "dtype": "float16", "in_place": true})",
    R"({"op": "all_gather", "bytes": 50})",
    R"({"op": "all_gather", "bytes": 50, "in_place": true})",
    R"({"op": "all_to_all", "bytes": 50})",
    R"({"op": "all_to_all", "bytes": 50, "in_place": true})",
    R"({"op": "broadcast", "bytes": 50})",
    R"({"op": "send_recv", "bytes": 50})",
};

TEST(Plain, IsRightWithNobodyElse) {
  for (const char* operation : kPlain) {
    OneRank rank(operation, 0, 1);
    const Finding finding = rank.step(2);
    EXPECT_FALSE(finding) << operation << ": " << finding->got << " for " << finding->expected;
    EXPECT_EQ(rank.group.calls.size(), 1u);
  }
}

TEST(Plain, MissesWhatOtherRanksShouldHaveSent) {
  for (const char* operation : kPlain) {
    OneRank rank(operation, 1, 2);
    const Finding finding = rank.step(2);
    ASSERT_TRUE(finding) << operation;
    EXPECT_EQ(finding->iteration, 2u);
  }
}

TEST(Models, AreRightOnOneRank) {
  for (const char* model : kModels) {
    OneRank rank(model, 0, 1);
    for (uint32_t iteration : {0u, 1u, 7u}) {
      const Finding finding = rank.step(iteration);
      EXPECT_FALSE(finding) << model << ": " << finding->got << " for " << finding->expected;
    }
    EXPECT_FALSE(rank.digest.text().empty()) << model;
  }
}

TEST(Models, MissWhatOtherRanksShouldHaveSent) {
  for (const char* model : kModels) {
    OneRank rank(model, 1, 2);
    const Finding finding = rank.step(3);
    ASSERT_TRUE(finding) << model;
    EXPECT_EQ(finding->iteration, 3u) << model;
    EXPECT_FALSE(rank.group.calls.empty()) << model;
  }
}

TEST(Models, FindOneWrongNumber) {
  const char* const experts_wide = R"({"op": "moe_decode", "layers": 1, "width": 100})";
  for (const char* model : {kTensorParallel, experts_wide}) {
    OneRank rank(model, 0, 1);
    // The largest number of a sum, a tenth larger.
    rank.group.spoil = [](void* output, size_t bytes, Dtype dtype) {
      const auto flip = [&](auto* numbers, auto magnitude_mask, auto step) {
        auto* const end = numbers + bytes / sizeof(*numbers);
        auto* const largest = std::max_element(numbers, end, [&](auto a, auto b) {
          return (a & magnitude_mask) < (b & magnitude_mask);
        });
        *largest = static_cast<std::remove_reference_t<decltype(*largest)>>(*largest + step);
      };
      if (dtype == Dtype::Float16) return flip(static_cast<uint16_t*>(output), 0x7fff, 1 << 7);
      flip(static_cast<uint32_t*>(output), 0x7fffffffu, 1u << 20);
    };
    const Finding finding = rank.step();
    ASSERT_TRUE(finding) << model;
    EXPECT_NE(finding->expected.find("layer 0"), std::string::npos) << finding->expected;
  }
}

TEST(Models, SendWhatTheirNamesSay) {
  OneRank experts(R"({"op": "moe_decode", "hidden": 1, "experts": 2, "top_k": 1})", 0, 1);
  experts.step();
  EXPECT_EQ(experts.group.calls, std::vector<std::string>(43, "all_sum 28672"));
  OneRank half(
      R"({"op": "moe_decode", "layers": 61, "hidden": 1, "experts": 2, "top_k": 1, "wire": "float16"})",
      0, 1);
  half.step();
  EXPECT_EQ(half.group.calls, std::vector<std::string>(61, "all_sum 14336"));

  OneRank tensors(
      R"({"op": "tensor_parallel_decode", "layers": 2, "width": 32, "hidden": 64, "tokens": 3})", 1,
      2);
  tensors.step();
  EXPECT_EQ(tensors.group.calls, std::vector<std::string>(4, "all_sum 192"));

  OneRank middle(R"({"op": "pipeline_decode", "layers": 3, "width": 10, "dtype": "float32"})", 1,
                 3);
  middle.step();
  EXPECT_EQ(middle.group.calls, (std::vector<std::string>{"recv 40", "send 40", "broadcast 40"}));

  OneRank batches(R"({"op": "gradient_averaging", "layers": 5, "width": 16, "batch": "2KiB"})", 1,
                  2);
  batches.step();
  EXPECT_EQ(batches.group.calls,
            (std::vector<std::string>{"all_sum 2048", "all_sum 2048", "all_sum 1024"}));
}

TEST(Models, PassOnActivationsFromStageToStage) {
  const std::string stages =
      R"({"op": "tensor_parallel_decode", "layers": 3, "width": 8, "hidden": 8, "dtype": "float32", "stages": )";
  OneRank middle(stages + "3}", 1, 3);
  const Finding finding = middle.step();  // the digest that should have come is empty
  ASSERT_TRUE(finding);
  EXPECT_NE(finding->expected.find("that rank 0 sent"), std::string::npos);
  EXPECT_EQ(middle.group.calls, (std::vector<std::string>{"split 1", "recv 32", "recv 16",
                                                          "send 32", "send 16", "broadcast 32"}));
}

TEST(Loop, DoesAllInTurn) {
  OneRank rank(R"({"op": "loop", "operations": [{"op": "barrier", "repeat": 2},
                   {"op": "all_sum", "count": 3}, {"op": "send_recv", "from": 0, "to": 1, "bytes": 5}]})",
               0, 2);
  rank.step();
  EXPECT_EQ(rank.group.calls,
            (std::vector<std::string>{"barrier 0", "barrier 0", "all_sum 12", "send 5"}));
}

TEST(Loop, SaysWhichEntryWasWrong) {
  OneRank rank(
      R"({"op": "loop", "operations": [{"op": "barrier"}, {"op": "all_sum", "count": 50, "repeat": 3}]})",
      0, 2);
  const Finding finding = rank.step(4);
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->iteration, 4u);
  EXPECT_NE(finding->expected.find("(operations/1, all_sum, iteration 0)"), std::string::npos);
}

TEST(Loop, DrawsOtherInputsEachTime) {
  std::set<std::string> digests;
  const char* const loop = R"({"op": "loop", "operations": [{"op": "all_sum", "count": 50}]})";
  const char* const twice =
      R"({"op": "loop", "operations": [{"op": "barrier"}, {"op": "all_sum", "count": 50}]})";
  for (const char* text : {loop, twice}) {
    for (uint32_t iteration : {0u, 1u}) {
      OneRank rank(text, 0, 1);
      EXPECT_FALSE(rank.step(iteration));
      digests.insert(rank.digest.text());
    }
  }
  EXPECT_EQ(digests.size(), 4u);
}

TEST(Loop, DigestsWhatAllRanksHave) {
  const char* const loop = R"({"op": "loop", "operations": [{"op": "send_recv", "bytes": 9}]})";
  OneRank sender(loop, 0, 2), other(loop, 1, 3);
  sender.step();
  other.step();
  EXPECT_EQ(sender.digest.text(), other.digest.text());
}

TEST(Mix, IsDrawnBySeedAlike) {
  const char* const mix = R"({"op": "mix", "random_sizes": true, "operations": [
      {"op": "all_sum", "count": 1000}, {"op": "barrier"}, {"op": "send_recv", "bytes": "1KiB"}]})";
  OneRank first(mix, 0, 2), second(mix, 1, 2);
  std::set<std::string> names;
  std::set<size_t> sizes;
  for (uint32_t i = 0; i < 300; ++i) {
    first.step(i);
    second.step(i);
  }
  ASSERT_EQ(first.group.calls.size(), second.group.calls.size());
  for (size_t i = 0; i < first.group.calls.size(); ++i) {
    std::string call = first.group.calls[i], other = second.group.calls[i];
    if (call.rfind("send", 0) == 0) call.replace(0, 4, "recv");
    EXPECT_EQ(call, other);
    names.insert(call.substr(0, call.find(' ')));
    if (call.rfind("all_sum", 0) == 0) sizes.insert(std::stoul(call.substr(8)));
  }
  EXPECT_EQ(names, (std::set<std::string>{"all_sum", "barrier", "recv"}));
  EXPECT_GT(sizes.size(), 20u);
  EXPECT_EQ(*sizes.begin(), 0u);
  EXPECT_LE(*sizes.rbegin(), 4000u);
  EXPECT_GT(*sizes.rbegin(), 2000u);
}

}  // namespace
}  // namespace railyard::rank
