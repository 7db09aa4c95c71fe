#include <gtest/gtest.h>

#include "railyard/scenario.h"

namespace railyard::harness {
namespace {

fabric::ClusterSpec cluster(std::vector<fabric::CableSpec> cables,
                            std::vector<std::string> switches = {}) {
  fabric::ClusterSpec spec;
  spec.nodes = {{"node0", {"en3", "en4"}}, {"node1", {"en3", "en4"}}};
  spec.cables = std::move(cables);
  spec.switches = std::move(switches);
  return spec;
}

// Rail k of (i, j) and rail k of (j, i) are the two ends of one cable, also when the plugs lie
// crosswise: exo#2160.
TEST(Matrix, CrossedPlugsKeepTheirRails) {
  auto spec = cluster({{"c1", {"node0/en3", "node1/en4"}}, {"c2", {"node0/en4", "node1/en3"}}});
  EXPECT_EQ(matrix_text(matrix_of(spec, 0)), R"([[null,["en3","en4"]],[["en4","en3"],null]])");
}

TEST(Matrix, TurnedCable) {
  auto spec = cluster({{"c1", {"node1/en4", "node0/en3"}}});
  EXPECT_EQ(matrix_text(matrix_of(spec, 0)), R"([[null,"en3"],["en4",null]])");
}

TEST(Matrix, FewerRails) {
  auto spec = cluster({{"c1", {"node0/en3", "node1/en4"}}, {"c2", {"node0/en4", "node1/en3"}}});
  EXPECT_EQ(matrix_text(matrix_of(spec, 1)), R"([[null,"en3"],["en4",null]])");
}

TEST(Matrix, ThroughASwitch) {
  auto spec = cluster({{"c1", {"node0/en3", "hub"}}, {"c2", {"hub", "node1/en3"}}}, {"hub"});
  EXPECT_EQ(matrix_text(matrix_of(spec, 0)), R"([[null,"en3"],["en3",null]])");
}

TEST(Matrix, NoCable) {
  EXPECT_EQ(matrix_text(matrix_of(cluster({}), 0)), "[[null,null],[null,null]]");
}

}  // namespace
}  // namespace railyard::harness
