// Which node a process is a program on (RAILYARD_NODE).
#include "fabric/own_node.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace railyard::fabric {
namespace {

constexpr const char* kRanks[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"};

class OwnNodeTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : kRanks) unsetenv(name);
  }
  void TearDown() override {
    SetUp();
    unsetenv("RAILYARD_NODE");
  }
};

TEST_F(OwnNodeTest, IsTheNumberThatIsNamed) {
  setenv("RAILYARD_NODE", "3", 1);
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  EXPECT_EQ(own_node(4), 3u);
}

TEST_F(OwnNodeTest, FollowsTheLaunchersNumberingWhereAskedTo) {
  setenv("RAILYARD_NODE", "rank", 1);
  for (const char* name : kRanks) {
    setenv(name, "2", 1);
    EXPECT_EQ(own_node(4), 2u) << name;
    unsetenv(name);
  }
}

TEST_F(OwnNodeTest, MoreRanksThanNodesGoAround) {
  setenv("RAILYARD_NODE", "rank", 1);
  setenv("OMPI_COMM_WORLD_RANK", "5", 1);
  EXPECT_EQ(own_node(4), 1u);
}

TEST_F(OwnNodeTest, TheLauncherItselfHasNone) {
  setenv("RAILYARD_NODE", "rank", 1);
  EXPECT_EQ(own_node(4), std::nullopt);
}

TEST_F(OwnNodeTest, AnythingElseIsNone) {
  EXPECT_EQ(own_node(4), std::nullopt);
  for (const char* text : {"", "x", "1x", "-1", "ranks"}) {
    setenv("RAILYARD_NODE", text, 1);
    EXPECT_EQ(own_node(4), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace railyard::fabric
