// Several rails to a neighbour. The names are those of bugs that other runtimes had.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "yard.h"

namespace railyard::test {
namespace {

class Rails : public testing::TestWithParam<int> {};

// mlx#3654: short messages over several rails; those that carry none must not wait.
TEST_P(Rails, Mlx3654ShortMessages) {
  std::vector<std::string> steps;
  for (int bytes : {1, 4, 4031, 4032, 4033, 8064, 16128, 16129, 65536}) {
    steps.push_back(fmt::format("move:0:1:{}:3", bytes));
    steps.push_back(fmt::format("move:1:0:{}:2", bytes));
  }
  expect_ok(Yard("apple-thunderbolt5", 2, GetParam()).backend("ring").run(steps));
}

// mlx#3033: a message that does not fill the pipeline of receives.
TEST_P(Rails, Mlx3033LessThanAPipeline) {
  std::vector<std::string> steps;
  for (int kib : {16, 17, 100, 255, 256, 257, 512, 700}) {
    steps.push_back(fmt::format("move:0:1:{}", kib * 1024));
    steps.push_back(fmt::format("move:1:0:{}", kib * 1024 - 1));
  }
  expect_ok(Yard("apple-thunderbolt5", 2, GetParam()).backend("ring").run(steps));
}

// mlx#4193: slices that end within a frame.
TEST_P(Rails, Mlx4193RemaindersAtEveryBoundary) {
  std::string sums = "sums_of";
  for (int unit : {4032, 16128, 65472, 131008, 262080}) {
    for (int rails : {1, 2, 3, 4}) {
      for (int more : {-4, 0, 4}) sums += fmt::format(":{}", unit * rails + more);
    }
  }
  expect_ok(Yard("apple-thunderbolt5", 3, GetParam()).backend("ring").run({sums, "barrier"}));
}

// mlx#3225: in a ring of two, left and right are the same peer.
TEST_P(Rails, Mlx3225RingOfTwoUsesEachWireOnce) {
  Yard yard("apple-thunderbolt5", 2, GetParam());
  expect_ok(yard.backend("ring").run({"all_sum:float32:1000000:3", "all_sum:float16:1:50",
                                      "operations:int32:40000", "barrier:20"}));
}

// What is striped over rails of any speed arrives whole.
TEST_P(Rails, OfDifferentSpeed) {
  Yard yard("apple-thunderbolt5", 2, GetParam());
  for (int cable = 0; cable < GetParam(); ++cable) {
    fabric::LinkModel link;
    link.latency_ns = 20'000.0 * cable;
    link.bandwidth_bytes_per_s = 2e9 / (1 + 3 * cable);
    yard.fabric().shape(cable, -1, link);
  }
  expect_ok(yard.backend("ring").run(
      {"all_sum:float32:700000:2", "move:0:1:3000000", "move:1:0:5000:20", "barrier"}));
}

// A rail that is much slower carries few messages, and the fast one does not wait for it.
TEST(RailsOfDifferentSpeed, TheSlowOneCarriesFew) {
  for (int slow : {0, 1}) {
    Yard yard("apple-thunderbolt5", 2, 2);
    // A message of 256 KiB takes 13 ms over the one and 262 ms over the other: ranks that get a
    // processor but now and then still find more of the former complete.
    for (int cable : {0, 1}) {
      fabric::LinkModel link;
      link.bandwidth_bytes_per_s = cable == slow ? 1e6 : 20e6;
      yard.fabric().shape(cable, -1, link);
    }
    expect_ok(yard.backend("ring").run({"move:0:1:16777216"}));
    auto cables = yard.fabric().snapshot().cables;
    auto carried = [&](int cable) {
      const auto& links = cables[static_cast<size_t>(cable)].links;
      return std::max(links[0].messages, links[1].messages);
    };
    // By turns each would carry as many; by speed it is twenty to one.
    EXPECT_GT(carried(1 - slow), 2 * carried(slow)) << "cable " << slow << " is slow";
  }
}

// exo#2160: what pairs the rails is their order in the matrix, and no order of names.
TEST(RailsOfCrossedCables, Exo2160ArePairedByTheMatrix) {
  for (const char* backend : {"ring", "mesh"}) {
    Yard yard("apple-thunderbolt5", 2, 3);
    yard.fabric().swap(0, 2, 1);
    yard.matrix(R"([[null, ["rdma_en2", "rdma_en3", "rdma_en4"]],
                    [["rdma_en4", "rdma_en3", "rdma_en2"], null]])");
    expect_ok(yard.backend(backend).run(
        {"operations:float32:100000", "move:0:1:1000000", "move:1:0:100", "barrier"}));
  }
}

// Long messages over several cables lie where the caller has them, wherever that begins; where the
// device has no region left for that, they go through the slab.
TEST(RailsThatAreLentMemory, DoWithout) {
  constexpr uint64_t kOwnRegions = 2;  // a slab for each cable
  Yard yard("apple-thunderbolt5", 2, 2);
  yard.fabric().arm({.verb = "ibv_reg_mr",
                     .node = 1,
                     .nth = kOwnRegions + 1,
                     .times = 1'000'000,
                     .error_number = ENOMEM});
  expect_ok(yard.backend("ring").run({"all_sum:float32:1000000:3", "move:0:1:3000001"}));
  EXPECT_GT(yard.fabric().snapshot().faults.at(0).fired, 0u);
}

TEST_P(Rails, OfAMesh) {
  if (GetParam() > 2) GTEST_SKIP() << "a machine has six ports";
  Yard yard("apple-thunderbolt5", 3, GetParam());
  expect_ok(yard.backend("mesh").run(
      {"operations:float32:100000", "operations:bfloat16:7", "move:0:2:1000000", "barrier"}));
}

// Rows of messages from all peers are combined, so all are cut alike, however many rails bring them.
TEST(RailsOfUnequalNumber, OfAMesh) {
  Yard yard("apple-thunderbolt5", 3, 2);
  yard.matrix(R"([[null, ["rdma_en2", "rdma_en3"], "rdma_en4"],
                  [["rdma_en2", "rdma_en3"], null, "rdma_en4"],
                  ["rdma_en2", "rdma_en4", null]])");
  expect_ok(yard.backend("mesh").run({"all_sum:float32:1000000:3", "move:0:2:1000000", "barrier"}));
}

INSTANTIATE_TEST_SUITE_P(Count, Rails, testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace railyard::test
