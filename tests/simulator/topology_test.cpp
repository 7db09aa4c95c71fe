// Clusters: who reaches whom, what cables do, and what a bad specification is told.
#include <gtest/gtest.h>

#include <functional>

#include "expect_error.h"
#include "fabric/segment.h"
#include "fabric/topology.h"
#include "private_folder.h"
#include "railyard/fabric.h"

namespace railyard::fabric {
namespace {

using testing::HasSubstr;

std::vector<std::string> plugs(const ClusterSpec& spec) {
  std::vector<std::string> lines;
  for (const CableSpec& cable : spec.cables) {
    lines.push_back(cable.name + ": " + cable.ends[0] + " - " + cable.ends[1]);
  }
  return lines;
}

TEST(DefaultCluster, PointToPointGivesEveryPairACableOfItsOwn) {
  ClusterSpec spec = default_cluster("apple-thunderbolt5", 3);
  EXPECT_TRUE(spec.switches.empty());
  EXPECT_THAT(plugs(spec), testing::ElementsAre("c1: node0/rdma_en2 - node1/rdma_en2",
                                                "c2: node0/rdma_en3 - node2/rdma_en2",
                                                "c3: node1/rdma_en3 - node2/rdma_en3"));
  EXPECT_NO_THROW(check(spec));
}

TEST(DefaultCluster, RailsOfAPairFollowEachOther) {
  EXPECT_THAT(plugs(default_cluster("apple-thunderbolt5", 2, 2)),
              testing::ElementsAre("c1: node0/rdma_en2 - node1/rdma_en2",
                                   "c2: node0/rdma_en3 - node1/rdma_en3"));
}

TEST(DefaultCluster, SwitchedPutsEveryDeviceOnOneSwitch) {
  ClusterSpec spec = default_cluster("connectx", 2, 2);
  EXPECT_THAT(spec.switches, testing::ElementsAre("switch0"));
  EXPECT_THAT(plugs(spec),
              testing::ElementsAre("c1: node0/mlx5_0 - switch0", "c2: node0/mlx5_1 - switch0",
                                   "c3: node1/mlx5_0 - switch0", "c4: node1/mlx5_1 - switch0"));
}

TEST(DefaultCluster, ASingleNodeHasADevice) {
  for (const std::string& profile : shipped_profiles()) {
    ClusterSpec spec = default_cluster(profile, 1);
    ASSERT_EQ(spec.nodes.size(), 1u);
    EXPECT_EQ(spec.nodes[0].devices.size(), 1u) << profile;
    EXPECT_NO_THROW(check(spec)) << profile;
  }
}

TEST(DefaultCluster, NeedsANodeAndARail) {
  EXPECT_ERROR(default_cluster("permissive", 0), "at least one node");
  EXPECT_ERROR(default_cluster("permissive", 2, 0), "at least one node");
  EXPECT_ERROR(default_cluster("permissive", -1), "at least one node");
}

TEST(DefaultCluster, DevicesAreNamedAsTheProfileSays) {
  EXPECT_EQ(default_device_name("apple-thunderbolt5", 0), "rdma_en2");
  EXPECT_EQ(default_device_name("apple-thunderbolt5", 3), "rdma_en5");
  EXPECT_EQ(default_device_name("connectx", 1), "mlx5_1");
}

// -------------------------------------------------------------------------------------------------

struct BadSpec {
  const char* name;
  std::function<void(ClusterSpec&)> spoil;
  const char* message;
};

class BadSpecTest : public testing::TestWithParam<BadSpec> {};

TEST_P(BadSpecTest, IsRefusedWithThePlace) {
  ClusterSpec spec;
  spec.profile = "apple-thunderbolt5";
  spec.nodes = {{"node0", {"rdma_en3", "rdma_en4"}}, {"node1", {"rdma_en3", "rdma_en4"}}};
  spec.cables = {{"c1", {"node0/rdma_en3", "node1/rdma_en3"}},
                 {"c2", {"node0/rdma_en4", "node1/rdma_en4"}}};
  ASSERT_NO_THROW(check(spec));
  GetParam().spoil(spec);
  EXPECT_ERROR(check(spec), GetParam().message);
  EXPECT_ERROR(Fabric::create(spec), GetParam().message);
}

const BadSpec kBadSpecs[] = {
    {"NoNodes", [](ClusterSpec& spec) { spec.nodes.clear(); },
     "nodes: a cluster needs at least one"},
    {"ANodeTwice", [](ClusterSpec& spec) { spec.nodes[1].name = "node0"; },
     "nodes/1: a second 'node0'"},
    {"ANodeWithoutAName", [](ClusterSpec& spec) { spec.nodes[0].name = ""; },
     "nodes/0: the name is empty"},
    {"ANodeWithASlash", [](ClusterSpec& spec) { spec.nodes[0].name = "a/b"; },
     "nodes/0: 'a/b': a node's name has no slash"},
    {"ANameTooLong", [](ClusterSpec& spec) { spec.nodes[1].name.assign(32, 'n'); },
     "nodes/1: 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn' is longer than 31 characters"},
    {"ADeviceTwice", [](ClusterSpec& spec) { spec.nodes[0].devices[1] = "rdma_en3"; },
     "nodes/0: a second device 'rdma_en3'"},
    {"ADeviceThatIsNotThere", [](ClusterSpec& spec) { spec.cables[0].ends[0] = "node0/rdma_en9"; },
     "cables/c1/0: node0 has no device 'rdma_en9' (it has rdma_en3, rdma_en4)"},
    {"ANodeThatIsNotThere", [](ClusterSpec& spec) { spec.cables[1].ends[1] = "node7/rdma_en3"; },
     "cables/c2/1: there is no node 'node7' (nodes: node0, node1)"},
    {"APlugWithoutADevice", [](ClusterSpec& spec) { spec.cables[0].ends[1] = "node1"; },
     "cables/c1/1: 'node1' is neither node/device nor a switch (switches: none)"},
    {"AnEmptyPlug", [](ClusterSpec& spec) { spec.cables[0].ends[1] = ""; }, "cables/c1/1: ''"},
    {"ADeviceOnTwoCables", [](ClusterSpec& spec) { spec.cables[1].ends[0] = "node0/rdma_en3"; },
     "cables/c2/0: node0/rdma_en3 is already on cable c1"},
    {"BothEndsInOneDevice", [](ClusterSpec& spec) { spec.cables[0].ends[1] = "node0/rdma_en3"; },
     "cables/c1/1: node0/rdma_en3 is already on cable c1"},
    {"ACableTwice", [](ClusterSpec& spec) { spec.cables[1].name = "c1"; },
     "cables/c1: a second one"},
    {"ACableWithoutAName", [](ClusterSpec& spec) { spec.cables[0].name = ""; },
     "cables: the name is empty"},
    {"ASwitchWherePointToPoint", [](ClusterSpec& spec) { spec.switches = {"s"}; },
     "switches/0: apple-thunderbolt5 is point to point, it has no switches"},
    {"ASwitchTwice",
     [](ClusterSpec& spec) {
       spec.profile = "connectx";
       spec.switches = {"s", "s"};
     },
     "switches/1: a second 's'"},
    {"ASwitchNamedAsANode",
     [](ClusterSpec& spec) {
       spec.profile = "connectx";
       spec.switches = {"node0"};
     },
     "switches/0: a second 'node0'"},
    {"ACableBetweenSwitches",
     [](ClusterSpec& spec) {
       spec.profile = "connectx";
       spec.switches = {"s", "t"};
       spec.cables[0] = {"c1", {"s", "t"}};
     },
     "cables/c1: joins two switches"},
    {"AProfileThatIsNotThere", [](ClusterSpec& spec) { spec.profile = "token-ring"; },
     "profile 'token-ring' is neither a file nor one of"},
};

INSTANTIATE_TEST_SUITE_P(Spec, BadSpecTest, testing::ValuesIn(kBadSpecs),
                         [](const auto& bad) { return bad.param.name; });

// -------------------------------------------------------------------------------------------------

// node0 and node1 with two ports each: c1 joins their rdma_en3, c2 their rdma_en4.
class CableTest : public testing::Test {
 protected:
  static Fabric make() {
    ClusterSpec spec;
    spec.profile = "apple-thunderbolt5";
    spec.nodes = {{"node0", {"rdma_en3", "rdma_en4"}}, {"node1", {"rdma_en3", "rdma_en4"}}};
    spec.cables = {{"c1", {"node0/rdma_en3", "node1/rdma_en3"}},
                   {"c2", {"node0/rdma_en4", "node1/rdma_en4"}}};
    return Fabric::create(spec);
  }

  bool reaches(const char* from, const char* to) {
    Segment segment = Segment::open(fabric_.name());
    return fabric::reaches(segment, port(from), port(to));
  }

  int port(const std::string& name) {
    for (int i = 0; i < static_cast<int>(fabric_.snapshot().ports.size()); ++i) {
      if (fabric_.port_name(i) == name) return i;
    }
    ADD_FAILURE() << "no port " << name;
    return -1;
  }

  bool active(const char* name) {
    return fabric_.snapshot().ports.at(static_cast<size_t>(port(name))).active;
  }

  test::PrivateFolder folder_;
  Fabric fabric_ = make();
  int c1_ = fabric_.cable("c1"), c2_ = fabric_.cable("c2");
};

TEST_F(CableTest, JoinsTheTwoPortsAtItsEnds) {
  EXPECT_TRUE(reaches("node0/rdma_en3", "node1/rdma_en3"));
  EXPECT_TRUE(reaches("node1/rdma_en3", "node0/rdma_en3"));
  EXPECT_FALSE(reaches("node0/rdma_en3", "node1/rdma_en4"));
  EXPECT_FALSE(reaches("node0/rdma_en3", "node0/rdma_en4"));
}

TEST_F(CableTest, APortReachesItself) { EXPECT_TRUE(reaches("node0/rdma_en3", "node0/rdma_en3")); }

TEST_F(CableTest, UnpluggedTakesBothPortsDown) {
  CableChange change = fabric_.unplug(c1_);
  EXPECT_TRUE(change.changed);
  EXPECT_THAT(change.evidence, HasSubstr("c1: node0/rdma_en3 - node1/rdma_en3, unplugged"));
  EXPECT_FALSE(active("node0/rdma_en3"));
  EXPECT_FALSE(active("node1/rdma_en3"));
  EXPECT_TRUE(active("node0/rdma_en4"));
  EXPECT_FALSE(reaches("node0/rdma_en3", "node1/rdma_en3"));
  EXPECT_FALSE(fabric_.snapshot().cables.at(0).plugged);
}

TEST_F(CableTest, PluggedAgainIsAsBefore) {
  fabric_.unplug(c1_);
  EXPECT_TRUE(fabric_.plug(c1_).changed);
  EXPECT_TRUE(active("node0/rdma_en3"));
  EXPECT_TRUE(reaches("node0/rdma_en3", "node1/rdma_en3"));
}

TEST_F(CableTest, UnpluggingTwiceChangesNothingTheSecondTime) {
  fabric_.unplug(c1_);
  uint64_t before = fabric_.snapshot().activity;
  CableChange again = fabric_.unplug(c1_);
  EXPECT_FALSE(again.changed);
  EXPECT_THAT(again.evidence, HasSubstr("already"));
  EXPECT_EQ(fabric_.snapshot().activity, before);
  EXPECT_FALSE(fabric_.plug(c2_).changed);
}

TEST_F(CableTest, SwappedAtOneEndCrossesTheRails) {
  CableChange change = fabric_.swap(c1_, c2_, 1);
  EXPECT_TRUE(change.changed);
  EXPECT_THAT(change.evidence, HasSubstr("c1: node0/rdma_en3 - node1/rdma_en4"));
  EXPECT_THAT(change.evidence, HasSubstr("c2: node0/rdma_en4 - node1/rdma_en3"));
  EXPECT_TRUE(reaches("node0/rdma_en3", "node1/rdma_en4"));
  EXPECT_TRUE(reaches("node1/rdma_en3", "node0/rdma_en4"));
  EXPECT_FALSE(reaches("node0/rdma_en3", "node1/rdma_en3"));
  for (const char* name :
       {"node0/rdma_en3", "node0/rdma_en4", "node1/rdma_en3", "node1/rdma_en4"}) {
    EXPECT_TRUE(active(name)) << name;
  }
  CableView seen = fabric_.snapshot().cables.at(0);
  EXPECT_EQ(seen.ports[1], port("node1/rdma_en4"));
  EXPECT_EQ(seen.original_ports[1], port("node1/rdma_en3"));
  EXPECT_GT(seen.changed_at_ns, 0);
}

TEST_F(CableTest, SwappedAtBothEndsIsAsBefore) {
  fabric_.swap(c1_, c2_, 0);
  fabric_.swap(c1_, c2_, 1);
  EXPECT_TRUE(reaches("node0/rdma_en4", "node1/rdma_en4"));
  EXPECT_FALSE(reaches("node0/rdma_en3", "node1/rdma_en4"));
}

TEST_F(CableTest, SwappingACableWithItselfChangesNothing) {
  EXPECT_FALSE(fabric_.swap(c1_, c1_, 0).changed);
  EXPECT_TRUE(reaches("node0/rdma_en3", "node1/rdma_en3"));
}

TEST_F(CableTest, APlugMovesIntoAFreePort) {
  // A third port that no cable leads to.
  ClusterSpec spec = default_cluster("apple-thunderbolt5", 2);
  spec.nodes[1].devices.push_back("rdma_en9");
  Fabric fabric = Fabric::create(spec);
  int spare = fabric.snapshot().devices.back().port;
  EXPECT_ERROR(fabric.replug(0, 0, fabric.snapshot().cables[0].ports[1]), "taken by cable c1");
  CableChange change = fabric.replug(0, 1, spare);
  EXPECT_TRUE(change.changed);
  EXPECT_THAT(change.evidence, HasSubstr("c1: node0/rdma_en2 - node1/rdma_en9"));
  EXPECT_EQ(fabric.snapshot().cables[0].ports[1], spare);
  EXPECT_FALSE(fabric.replug(0, 1, spare).changed);
}

TEST_F(CableTest, ChangesCountAsActivity) {
  uint64_t before = fabric_.snapshot().activity;
  fabric_.unplug(c1_);
  uint64_t unplugged = fabric_.snapshot().activity;
  EXPECT_NE(unplugged, before);
  fabric_.swap(c1_, c2_, 0);
  EXPECT_NE(fabric_.snapshot().activity, unplugged);
}

TEST_F(CableTest, WhatIsNotThereIsRefused) {
  EXPECT_ERROR(fabric_.unplug(2), "there is no cable 2");
  EXPECT_ERROR(fabric_.plug(-1), "there is no cable -1");
  EXPECT_ERROR(fabric_.swap(c1_, 9, 0), "there is no cable 9");
  EXPECT_ERROR(fabric_.swap(c1_, c2_, 2), "cable c1 has no plug at node");
}

TEST(PortTest, IsDownWithoutACable) {
  test::PrivateFolder folder;
  Fabric fabric = Fabric::create(default_cluster("apple-thunderbolt5", 1));
  PortView port = fabric.snapshot().ports.at(0);
  EXPECT_FALSE(port.active);
  EXPECT_EQ(port.cable, -1);
}

TEST(SwitchTest, JoinsAllThatAreCabledToIt) {
  test::PrivateFolder folder;
  Fabric fabric = Fabric::create(default_cluster("connectx", 3));
  Segment segment = Segment::open(fabric.name());
  EXPECT_TRUE(reaches(segment, 0, 1));
  EXPECT_TRUE(reaches(segment, 2, 0));
  fabric.unplug(fabric.cable("c2"));
  EXPECT_FALSE(reaches(segment, 0, 1));
  EXPECT_FALSE(reaches(segment, 1, 2));
  EXPECT_TRUE(reaches(segment, 0, 2));
}

TEST(SwitchTest, TwoOfThemAreTwoNetworks) {
  test::PrivateFolder folder;
  ClusterSpec spec = default_cluster("connectx", 2);
  spec.switches.push_back("switch1");
  spec.cables[1].ends[1] = "switch1";
  Fabric fabric = Fabric::create(spec);
  Segment segment = Segment::open(fabric.name());
  EXPECT_FALSE(reaches(segment, 0, 1));
}

}  // namespace
}  // namespace railyard::fabric
