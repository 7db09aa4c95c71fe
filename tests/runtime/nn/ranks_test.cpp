// Layers and gradients on groups of processes, against the same on one rank (see nn_rank.cpp).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "../yard.h"

namespace railyard::test {
namespace {

const char* const kDtypes[] = {"float32", "float16", "bfloat16"};

class Ranks : public testing::TestWithParam<int> {
 protected:
  int ranks() const { return GetParam(); }

  // Every rank finds every step right, and has the same bits as the others.
  void expect_right(const std::vector<std::string>& steps, const char* backend = "any") {
    Yard yard("apple-thunderbolt5", ranks());
    yard.backend(backend);
    const std::vector<Outcome> outcomes = yard.run(steps);
    for (const Outcome& outcome : outcomes) {
      EXPECT_TRUE(outcome.ok()) << "exit " << outcome.exit_code << " signal " << outcome.signal
                                << "\n"
                                << outcome.output;
      EXPECT_EQ(outcome.output, outcomes[0].output);
    }
  }

  // As many times the number of ranks as asked for.
  int64_t times(int64_t count) const { return count * ranks(); }
};

TEST_P(Ranks, AllToShardedLinear) {
  std::vector<std::string> steps;
  for (const char* dtype : kDtypes) {
    // Nothing but the output's features need be divisible.
    for (auto [rows, in, out] :
         {std::tuple(1, 1, 1), std::tuple(3, 7, 5), std::tuple(17, 201, 61)}) {
      steps.push_back(
          fmt::format("linear:all-to-sharded:{}:{}:{}:{}", dtype, rows, in, times(out)));
    }
    steps.push_back(fmt::format("linear:all-to-sharded:{}:2:33:{}:3", dtype, times(3 * 11)));
    steps.push_back(fmt::format("linear:all-to-sharded:{}:0:33:{}", dtype, times(2)));
  }
  expect_right(steps);
}

TEST_P(Ranks, ShardedToAllLinear) {
  std::vector<std::string> steps;
  for (const char* dtype : kDtypes) {
    for (auto [rows, in, out] :
         {std::tuple(1, 1, 1), std::tuple(3, 7, 5), std::tuple(17, 53, 201)}) {
      steps.push_back(
          fmt::format("linear:sharded-to-all:{}:{}:{}:{}", dtype, rows, times(in), out));
    }
    steps.push_back(fmt::format("linear:sharded-to-all:{}:2:{}:33:2", dtype, times(2 * 9)));
    steps.push_back(fmt::format("linear:sharded-to-all:{}:0:{}:7", dtype, times(2)));
  }
  expect_right(steps);
}

TEST_P(Ranks, QuantizedLinears) {
  std::vector<std::string> steps;
  for (const char* dtype : kDtypes) {
    for (int bits : {4, 8}) {
      steps.push_back(fmt::format("linear:all-to-sharded:{}:3:96:{}:1:{}", dtype, times(13), bits));
      steps.push_back(fmt::format("linear:all-to-sharded:{}:1:32:{}:3:{}", dtype, times(15), bits));
      steps.push_back(fmt::format("linear:sharded-to-all:{}:3:{}:21:1:{}", dtype, times(96), bits));
      steps.push_back(fmt::format("linear:sharded-to-all:{}:1:{}:77:2:{}", dtype, times(64), bits));
    }
  }
  expect_right(steps);
}

TEST_P(Ranks, BlocksOfATransformer) {
  std::vector<std::string> steps;
  for (const char* dtype : kDtypes) {
    for (int bits : {0, 4, 8}) {
      steps.push_back(fmt::format("block:{}:1:96:{}:{}", dtype, times(96), bits));
      steps.push_back(fmt::format("block:{}:5:96:{}:{}", dtype, times(32), bits));
    }
  }
  for (const char* backend : {"any", "ring", "tcp"}) {
    if (ranks() > 1 || std::string(backend) == "any") expect_right(steps, backend);
  }
}

TEST_P(Ranks, AverageGradients) {
  expect_right(
      {"average:float32:float32:33554432:same:1:0:1003:7",
       "average:float32:float16:1000:same:3:1003:7:5000",
       "average:float16:float16:4096:same:1003:5000:1", "average:bfloat16:float32:0:same:1003:7",
       "average:bfloat16:bfloat16:64:same:3:3:70", "average:float16:bfloat16:1000:mixed:1003:7:9"});
}

TEST_P(Ranks, TrainingStep) {
  expect_right({fmt::format("training:{}:19:{}", times(3), times(7)),
                fmt::format("training:{}:64:{}", times(1), times(16))});
}

TEST_P(Ranks, ExpertParallel) {
  std::vector<std::string> steps;
  for (const char* dtype : kDtypes) {
    // Odd numbers of experts, and fewer than ranks.
    for (auto [experts, top_k] : {std::pair(61, 8), std::pair(8, 2), std::pair(1, 1)}) {
      for (int tokens : {1, 5}) {
        steps.push_back(
            fmt::format("experts:{}:{}:{}:{}:{}", dtype, dtype, experts, top_k, tokens));
      }
    }
  }
  steps.push_back("experts:float32:float16:7:3:1");
  steps.push_back("experts:bfloat16:float32:7:3:5");
  steps.push_back("experts:float32:float32:7:3:1:4");
  steps.push_back("experts:float16:float16:7:3:1:8");
  expect_right(steps);
}

// runtime/nn/examples
TEST_P(Ranks, Example) {
  Yard yard("apple-thunderbolt5", ranks());
  for (const Outcome& outcome : yard.program(RAILYARD_TEST_EXAMPLE).run({})) {
    EXPECT_TRUE(outcome.ok()) << outcome.output;
    EXPECT_NE(outcome.output.find("ok\n"), std::string::npos) << outcome.output;
  }
}

INSTANTIATE_TEST_SUITE_P(Nn, Ranks, testing::Values(1, 2, 3, 4),
                         [](const auto& each) { return fmt::format("of_{}", each.param); });

}  // namespace
}  // namespace railyard::test
