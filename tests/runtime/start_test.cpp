// How groups start, and how they fail to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "yard.h"

namespace railyard::test {
namespace {

using std::chrono::milliseconds;
using testing::AnyOf;
using testing::HasSubstr;

TEST(Start, MissingRankIsNamed) {
  Yard yard("apple-thunderbolt5", 4);
  yard.bootstrap_deadline_ms(static_cast<int>(unhurried(2000).count()));
  for (int rank : {0, 1, 2}) yard.start_rank(rank, {"barrier"});
  for (const Outcome& outcome : yard.ranks().wait()) {
    EXPECT_EQ(outcome.code, "deadline-exceeded") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("rank 3 did not come to join"));
  }
}

TEST(Start, MissingCoordinatorIsNamed) {
  Yard yard("apple-thunderbolt5", 2);
  yard.bootstrap_deadline_ms(400).start_rank(1, {"barrier"});
  Outcome outcome = yard.ranks().wait()[0];
  EXPECT_EQ(outcome.code, "side-channel-lost") << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("cannot reach rank 0 at 127.0.0.1:"));
}

TEST(Start, RanksMayStartApart) {
  Yard yard("apple-thunderbolt5", 2);
  yard.start_rank(1, {"all_sum:int32:10:1"});
  std::this_thread::sleep_for(milliseconds(400));
  yard.start_rank(0, {"all_sum:int32:10:1"});
  for (const Outcome& outcome : yard.ranks().wait()) EXPECT_TRUE(outcome.ok()) << outcome.output;
}

// mlx#4180
TEST(Start, MisspeltDeviceIsNamedWithThoseThatAreThere) {
  Yard yard("apple-thunderbolt5", 2);
  yard.matrix(R"([[null, "rdma_en2"], ["rdma_en9", null]])");
  for (const Outcome& outcome : yard.run({"barrier"})) {
    EXPECT_EQ(outcome.code, "device") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("no device rdma_en9: this machine has rdma_en2"));
  }
}

// mlx#3777
TEST(Start, PortDownIsNamed) {
  Yard yard("apple-thunderbolt5", 2);
  yard.fabric().unplug(0);
  for (const Outcome& outcome : yard.run({"barrier"})) {
    EXPECT_EQ(outcome.code, "device") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("port down"));
  }
}

// mlx#3467: the other end of the cable is not who the matrix says.
TEST(Start, CrossedCablesAreRefusedAtTheFirstConnection) {
  Yard yard("apple-thunderbolt5", 2, 2);
  yard.matrix(R"([[null, "rdma_en2"], ["rdma_en3", null]])").backend("ring");
  for (const Outcome& outcome : yard.run({"barrier"})) {
    EXPECT_EQ(outcome.code, "peer-unreachable") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("rdma_en"));
  }
}

// mlx#3245: Apple's driver never returns from opening a device that somebody else holds.
TEST(Start, DeviceThatNeverOpensIsNamed) {
  Yard yard("apple-thunderbolt5", 2);
  yard.fabric().arm(
      {.verb = "ibv_open_device", .node = 1, .action = fabric::VerbFault::Action::block});
  for (const Outcome& outcome : yard.bootstrap_deadline_ms(2000).run({"barrier"})) {
    EXPECT_NE(outcome.exit_code, 0);
    EXPECT_THAT(outcome.code, AnyOf("limit-reached", "deadline-exceeded")) << outcome.output;
    EXPECT_THAT(outcome.output, AnyOf(HasSubstr("rdma_en2: ibv_open_device has not returned"),
                                      HasSubstr("rank 1 did not come to exchange addresses")));
    EXPECT_LT(outcome.took, std::chrono::seconds(15)) << "it is not waited for until it opens";
  }
}

TEST(Start, QueuePairLimitIsNamed) {
  Yard yard("connectx", 3, 1, R"({"rules": {"queue_pairs": {"is": 3, "errno": "EBUSY"}}})");
  for (const Outcome& outcome : yard.backend("mesh").run({"barrier"})) {
    EXPECT_EQ(outcome.code, "limit-reached") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("ibv_create_qp"));
    EXPECT_THAT(outcome.output, HasSubstr("errno 16"));
  }
}

TEST(Start, ConcurrentGroupsDoNotMeet) {
  Yard first("apple-thunderbolt5", 2), second("connectx", 2);
  first.start({"all_sum:float32:1000:50"});
  second.start({"all_sum:float32:1000:50"});
  for (Yard* yard : {&first, &second}) {
    for (const Outcome& outcome : yard->ranks().wait()) EXPECT_TRUE(outcome.ok()) << outcome.output;
  }
}

// mlx#3418
TEST(Start, WithoutAVerbsDevice) {
  Yard yard("apple-thunderbolt5", 2);
  yard.set("RAILYARD_FABRIC", "").build(Build::loaded);
  for (const Outcome& outcome : yard.run({"barrier"})) {
    EXPECT_EQ(outcome.code, "device") << outcome.output;
  }
}

}  // namespace
}  // namespace railyard::test
