// Cables found by messages that arrive.
#include <gtest/gtest.h>

#include <set>

#include "railyard/topology.h"

namespace railyard::harness {
namespace {

using Ends = std::set<std::string>;

// What joins what: each set of plugs is a cable, or a switch.
struct World {
  std::vector<fabric::NodeSpec> hosts;
  std::vector<Ends> nets;
  int tries = 0;

  fabric::ClusterSpec match() {
    return match_cables(
        hosts, [this](size_t a, const std::string& device, size_t b, const std::string& other) {
          ++tries;
          std::string from = hosts[a].name + "/" + device, to = hosts[b].name + "/" + other;
          for (const Ends& net : nets) {
            if (net.contains(from) && net.contains(to)) return true;
          }
          return false;
        });
  }

  std::set<Ends> found() {
    std::set<Ends> cables;
    for (const fabric::CableSpec& cable : match().cables) {
      cables.insert({cable.ends[0], cable.ends[1]});
    }
    return cables;
  }
};

TEST(MatchCables, CrossedCables) {
  World world{{{"A", {"en6", "en7"}}, {"B", {"en6", "en7"}}},
              {{"A/en6", "B/en7"}, {"A/en7", "B/en6"}}};
  EXPECT_EQ(world.found(), (std::set<Ends>{{"A/en6", "B/en7"}, {"A/en7", "B/en6"}}));
}

TEST(MatchCables, RingOfThreeAndAPortWithoutACable) {
  World world{{{"A", {"en1", "en2", "en3"}}, {"B", {"en1", "en2"}}, {"C", {"en1", "en2"}}},
              {{"A/en1", "B/en2"}, {"B/en1", "C/en1"}, {"C/en2", "A/en3"}}};
  EXPECT_EQ(world.found(), (std::set<Ends>{world.nets.begin(), world.nets.end()}));
  EXPECT_TRUE(world.match().switches.empty());
}

TEST(MatchCables, Switch) {
  World world{{{"A", {"mlx5_0"}}, {"B", {"mlx5_0"}}, {"C", {"mlx5_0"}}},
              {{"A/mlx5_0", "B/mlx5_0", "C/mlx5_0"}}};
  fabric::ClusterSpec cluster = world.match();
  EXPECT_EQ(cluster.switches, std::vector<std::string>{"switch"});
  EXPECT_EQ(cluster.cables.size(), 3u);
  EXPECT_EQ(cluster.profile, "connectx");
}

TEST(MatchCables, NothingIsJoined) {
  World world{{{"A", {"en1"}}, {"B", {"en1"}}}, {}};
  EXPECT_TRUE(world.match().cables.empty());
}

}  // namespace
}  // namespace railyard::harness
