#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "yard.h"

namespace railyard::test {
namespace {

using testing::HasSubstr;

// mlx#3149: consecutive messages of different sizes.
const std::vector<std::string> kAlternatingSizes = {
    "move:0:1:4:3",     "move:0:1:102400:2", "move:0:1:4096", "move:1:0:1",     "move:0:1:0",
    "move:1:0:1000000", "move:0:1:4032",     "move:0:1:4033", "move:1:0:16128", "move:0:1:16129:10",
    "move:1:0:3:200",   "move:0:1:262144",   "barrier"};

TEST(SendReceive, Mlx3149SizesAlternateInAMesh) {
  expect_ok(Yard("apple-thunderbolt5", 3).backend("mesh").run(kAlternatingSizes));
}

TEST(SendReceive, Mlx3149SizesAlternateInARing) {
  expect_ok(Yard("apple-thunderbolt5", 3).backend("ring").run(kAlternatingSizes));
}

TEST(SendReceive, Mlx3149SizesAlternateBetweenTwo) {
  expect_ok(Yard("apple-thunderbolt5", 2).backend("ring").run(kAlternatingSizes));
}

TEST(SendReceive, Ds4x1024SizesAlternateOnADeviceThatDrops) {
  expect_ok(Yard("connectx", 2).backend("mesh").run(kAlternatingSizes));
}

// One that sends far ahead of its receiver waits for credits and loses nothing.
TEST(SendReceive, SenderFarAhead) {
  expect_ok(Yard("connectx", 2).run({"sleep:1:300", "move:0:1:100:2000", "barrier"}));
}

TEST(SendReceive, AnyPairInAMesh) {
  expect_ok(
      Yard("apple-thunderbolt5", 4)
          .backend("mesh")
          .run({"move:0:2:5000", "move:2:0:5000", "move:3:1:100000", "move:0:3:1", "barrier"}));
}

// Over RDMA a large message waits for its receive: two ranks that send to each other first would
// wait for ever.
TEST(SendReceive, TwoThatSendToEachOtherAreTold) {
  Yard yard("apple-thunderbolt5", 2);
  for (const Outcome& outcome : yard.backend("mesh").run({"cross:1000000"})) {
    EXPECT_EQ(outcome.code, "mismatched-collectives") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("neither receives"));
    EXPECT_LT(outcome.took, std::chrono::seconds(10)) << "the deadline is 30 s";
  }
  expect_ok(Yard("apple-thunderbolt5", 2).backend("mesh").run({"cross:16000", "barrier"}));
}

// The sender of a large message says so before it waits; a receiver of a small one finds out.
TEST(SendReceive, DifferentSizesAreToldToBoth) {
  for (const char* backend : {"mesh", "ring", "tcp"}) {
    for (const char* sizes : {"unequal:1000000:64", "unequal:64:1000000", "unequal:64:128"}) {
      Yard yard("apple-thunderbolt5", 2);
      auto outcomes = yard.backend(backend).run({sizes, "barrier"});
      for (const Outcome& outcome : outcomes) {
        EXPECT_EQ(outcome.code, "mismatched-collectives") << backend << sizes << outcome.output;
        EXPECT_LT(outcome.took, std::chrono::seconds(10)) << "the deadline is 30 s";
      }
      EXPECT_THAT(outcomes[1].output, HasSubstr("64 bytes")) << backend << sizes;
    }
  }
}

TEST(SendReceive, RingReachesNeighboursOnly) {
  for (const Outcome& outcome : Yard("apple-thunderbolt5", 4).backend("ring").run({"move:0:2:8"})) {
    if (outcome.ok()) continue;  // ranks 1 and 3 have nothing to do
    EXPECT_EQ(outcome.code, "configuration") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("no neighbour"));
  }
}

}  // namespace
}  // namespace railyard::test
