// Cables into matrices, and matrices held against cables.
#include "railyard/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace railyard::harness {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Cables = std::vector<std::string>;

std::string planned(const Cables& cables, Shape shape = Shape::any) {
  return matrix_text(plan_group("test", cluster_of_cables(cables), shape).matrix);
}

std::string refusal(const Cables& cables, Shape shape = Shape::any) {
  try {
    planned(cables, shape);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

Topology matrix_topology(const std::string& text) {
  Topology topology;
  topology.file = "m.json";
  topology.matrix =
      parse_matrix("m.json", text, static_cast<int>(std::count(text.begin(), text.end(), '\n')));
  for (size_t i = 0; i < topology.matrix->size(); ++i) {
    topology.hosts.push_back("rank " + std::to_string(i));
  }
  return topology;
}

Inspection inspected(const std::string& text, const Cables& cables, Shape shape = Shape::any) {
  std::optional<fabric::ClusterSpec> spec;
  if (!cables.empty()) spec = cluster_of_cables(cables);
  return inspect(matrix_topology(text), spec, shape, "");
}

// The first finding as "place: text".
std::string first_of(const Inspection& inspection) {
  if (inspection.findings.empty()) return "nothing";
  const Finding& finding = inspection.findings.front();
  return finding.place + ": " + finding.text;
}

TEST(CableText, HostsMayHaveDashes) {
  fabric::ClusterSpec cluster = cluster_of_cables({"m3-ultra-1:rdma_en3-m3-ultra-2/rdma_en5"});
  EXPECT_EQ(cluster.cables[0].ends[0], "m3-ultra-1/rdma_en3");
  EXPECT_EQ(cluster.cables[0].ends[1], "m3-ultra-2/rdma_en5");
  EXPECT_EQ(cluster.profile, "apple-thunderbolt5");
}

TEST(CableText, WhatIsNoCableIsRefused) {
  for (const char* text : {"", "A", "A:en6", "A:en6-B", "A:-B:en7", ":en6-B:en7",
                           "A:en6-B:", "A:en6-B:en7-C:en8", "A:en6B:en7"}) {
    EXPECT_THAT(refusal({text}), HasSubstr("write host:device-host:device")) << text;
  }
  EXPECT_THAT(refusal({"A:en6-B:en7", "C:en1-A:en6"}), HasSubstr("en6 of A has a cable already"));
}

// exo#2160.
TEST(PlanGroup, CrossedCables) {
  const char* right = R"([[null,["en6","en7"]],[["en7","en6"],null]])";
  EXPECT_EQ(planned({"A:en6-B:en7", "A:en7-B:en6"}), right);
  EXPECT_EQ(planned({"A:en6-B:en7", "B:en6-A:en7"}), right);
}

// Whatever the order and direction of the cables, the two cells of a pair name the same cables.
TEST(PlanGroup, EveryOrderOfInputPairsCables) {
  Cables cables = {"A:en1-B:en9", "A:en2-B:en8", "B:en7-A:en3"};
  std::sort(cables.begin(), cables.end());
  do {
    Plan plan = plan_group("test", cluster_of_cables(cables), Shape::ring);
    for (size_t k = 0; k < 3; ++k) {
      std::string a = plan.matrix[0][1][k], b = plan.matrix[1][0][k];
      EXPECT_EQ(a[2] + b[2], '0' + '0' + 10) << a << " " << b;  // 1-9, 2-8, 3-7
    }
  } while (std::next_permutation(cables.begin(), cables.end()));
}

TEST(PlanGroup, RanksGoRoundTheRing) {
  Plan plan = plan_group(
      "test", cluster_of_cables({"A:en1-B:en1", "C:en1-D:en1", "B:en2-D:en2", "C:en2-A:en2"}),
      Shape::any);
  EXPECT_EQ(plan.shape, Shape::ring);
  EXPECT_EQ(matrix_text(plan.matrix),
            R"([[null,"en1",null,"en2"],["en1",null,"en2",null],[null,"en2",null,"en1"],)"
            R"(["en2",null,"en1",null]])");
  EXPECT_EQ(plan.cluster.nodes[2].name, "D");
  ASSERT_EQ(plan.remarks.size(), 1u);
  EXPECT_EQ(plan.remarks[0], "the ranks go round as A, B, D, C");
}

// A ring takes as many rails as its poorest neighbours have.
TEST(PlanGroup, SpareCableIsLeftOut) {
  Plan plan = plan_group(
      "test", cluster_of_cables({"A:en1-B:en1", "A:en2-B:en2", "B:en3-C:en3", "C:en4-A:en4"}),
      Shape::ring);
  EXPECT_EQ(matrix_text(plan.matrix),
            R"([[null,"en1","en4"],["en1",null,"en3"],["en4","en3",null]])");
  ASSERT_EQ(plan.remarks.size(), 1u);
  EXPECT_THAT(plan.remarks[0], HasSubstr("cable c2 (A:en2-B:en2) is left out"));
}

TEST(PlanGroup, AnyPrefersAMeshUnlessRailsAreMany) {
  Cables triangle = {"A:en1-B:en1", "B:en2-C:en2", "C:en3-A:en3"};
  EXPECT_EQ(plan_group("t", cluster_of_cables(triangle), Shape::any).shape, Shape::mesh);
  for (const char* more : {"A:en5-B:en5", "B:en6-C:en6", "C:en7-A:en7"}) triangle.push_back(more);
  EXPECT_EQ(plan_group("t", cluster_of_cables(triangle), Shape::any).shape, Shape::ring);
}

TEST(PlanGroup, WhatIsMissingIsNamed) {
  Cables line = {"A:en1-B:en1", "B:en2-C:en2"};
  EXPECT_THAT(refusal(line, Shape::mesh), HasSubstr("no mesh: none joins A and C"));
  EXPECT_THAT(refusal(line, Shape::ring), HasSubstr("no ring: A is cabled to B alone"));
  EXPECT_THAT(refusal(line), AllOf(HasSubstr("none joins A and C"), HasSubstr("no ring")));
  // A bow tie: everybody has two neighbours, and B lies on both loops.
  EXPECT_THAT(refusal({"A:en1-B:en1", "A:en2-C:en2", "C:en1-B:en2", "B:en3-D:en1", "D:en2-E:en2",
                       "E:en1-B:en4"},
                      Shape::ring),
              HasSubstr("no order of the hosts leads round"));
}

TEST(PlanGroup, HostfileKeepsAddresses) {
  Plan plan = plan_group("t", cluster_of_cables({"A:en6-B:en7"}), Shape::mesh);
  std::string text = hostfile_text(plan, {{"B", {"10.0.0.2"}, {}}});
  std::vector<Host> hosts = parse_hostfile("t", text);
  EXPECT_EQ(hosts[1].ips, std::vector<std::string>{"10.0.0.2"});
  EXPECT_EQ(hosts[1].rdma[0], std::vector<std::string>{"en7"});
}

TEST(Inspect, CrossedRails) {
  Inspection found = inspected("[[null, [\"en6\", \"en7\"]],\n[[\"en6\", \"en7\"], null]]\n",
                               {"A:en6-B:en7", "A:en7-B:en6"});
  EXPECT_EQ(first_of(found),
            "1/0: crossed rails: rail 0 is en6 of A in cell 0/1, whose cable c1 leads to en7, but "
            "en6 here; write [\"en7\", \"en6\"]");
  EXPECT_FALSE(found.sound());
  EXPECT_EQ(found.cells, (std::set<std::pair<size_t, size_t>>{{1, 0}}));
}

TEST(Inspect, RightMatrixIsSound) {
  Inspection found = inspected("[[null, [\"en6\", \"en7\"]],\n[[\"en7\", \"en6\"], null]]\n",
                               {"A:en6-B:en7", "A:en7-B:en6"});
  EXPECT_TRUE(found.findings.empty()) << first_of(found);
  EXPECT_EQ(found.backend, "mesh");
}

TEST(Inspect, HalfListed) {
  Inspection found =
      inspected("[[null, [\"en6\", \"en7\"]],\n[\"en7\", null]]\n", {"A:en6-B:en7", "A:en7-B:en6"});
  EXPECT_EQ(first_of(found),
            "1/0: half-listed: 1 rail here, 2 in cell 0/1; write [\"en7\", \"en6\"]");
}

TEST(Inspect, CableToAnotherHost) {
  Cables cables = {"A:en1-B:en1", "B:en2-C:en2", "C:en3-A:en3"};
  Inspection found = inspected(
      "[[null, \"en3\", \"en1\"],\n[\"en1\", null, \"en2\"],\n[\"en3\", \"en2\", null]]\n", cables);
  EXPECT_EQ(first_of(found), "0/1: en3 of A is cabled to C, not to B; write \"en1\"");
}

TEST(Inspect, DeviceWithoutACable) {
  Inspection found = inspected("[[null, \"en9\"],\n[\"en7\", null]]\n", {"A:en6-B:en7"});
  EXPECT_THAT(first_of(found), HasSubstr("0/1: A has no device 'en9' with a cable"));
}

TEST(Inspect, UnusedCable) {
  Inspection found =
      inspected("[[null, \"en6\"],\n[\"en7\", null]]\n", {"A:en6-B:en7", "A:en7-B:en6"});
  EXPECT_TRUE(found.sound());
  EXPECT_EQ(first_of(found), "0/1: cable c2 from en7 of A to en6 of B is not used");
}

// Without the cables: a Thunderbolt port has one.
TEST(Inspect, OneDeviceForTwoHosts) {
  const char* text =
      "[[null, \"rdma_en2\", \"rdma_en2\"],\n[\"rdma_en2\", null, \"rdma_en3\"],\n"
      "[\"rdma_en2\", \"rdma_en3\", null]]\n";
  Inspection found = inspected(text, {});
  EXPECT_THAT(first_of(found), HasSubstr("0/2: rdma_en2 of rank 0 stands in cell 0/1 as well"));
}

TEST(Inspect, GroupsThatCannotBe) {
  const char* line = "[[null, \"a\", null],\n[\"b\", null, \"c\"],\n[null, \"d\", null]]\n";
  EXPECT_THAT(first_of(inspected(line, {}, Shape::mesh)),
              HasSubstr("no mesh: rank 0 has no device to rank 2 (cell 0/2)"));
  EXPECT_THAT(first_of(inspected(line, {}, Shape::ring)),
              HasSubstr("no ring: the neighbours rank 2 and rank 0 have no rail (cell 2/0)"));
  EXPECT_THAT(first_of(inspected(line, {})), HasSubstr("no group over RDMA"));
  const char* unequal =
      "[[null, [\"a\", \"b\"], \"c\"],\n[[\"a\", \"b\"], null, \"d\"],\n[\"c\", \"d\", null]]\n";
  EXPECT_THAT(first_of(inspected(unequal, {}, Shape::ring)),
              HasSubstr("no ring: 1 rail to rank 2 (cell 1/2), 2 rails to rank 1 (cell 0/1)"));
}

// Eight peers over one device would need 16 queue pairs of a device that has 10.
TEST(Inspect, BudgetOfADevice) {
  Topology topology = matrix_topology("[[null]]\n");
  topology.matrix = DeviceMatrix(9, std::vector<std::vector<std::string>>(9, {"rdma_en2"}));
  for (size_t i = 0; i < 9; ++i) (*topology.matrix)[i][i].clear();
  topology.hosts.assign(9, "host");
  bool told = false;
  for (const Finding& finding : inspect(topology, {}, Shape::any, "apple-thunderbolt5").findings) {
    told = told || finding.text.find(
                       "would carry 8 peers with two queue pairs each, and the "
                       "device has 10") != std::string::npos;
  }
  EXPECT_TRUE(told);
}

TEST(Inspect, BudgetOfSubGroups) {
  Inspection found =
      inspected("[[null, \"rdma_en6\"],\n[\"rdma_en7\", null]]\n", {"A:rdma_en6-B:rdma_en7"});
  EXPECT_EQ(
      found.budget,
      "apple-thunderbolt5: 2 of 10 queue pairs and 1 of 100 regions a device; 4 sub-groups of "
      "this size over RDMA beside it");
}

TEST(ClusterOf, MatrixImpliesCables) {
  Topology topology =
      matrix_topology("[[null, [\"en6\", \"en7\"]],\n[[\"en7\", \"en6\"], null]]\n");
  fabric::ClusterSpec cluster = cluster_of(topology);
  ASSERT_EQ(cluster.cables.size(), 2u);
  EXPECT_EQ(cluster.cables[0].ends[1], "rank 1/en7");
  EXPECT_EQ(matrix_text(matrix_of(cluster, 0)), matrix_text(*topology.matrix));
}

TEST(Draw, CablesWithTheirRails) {
  Topology topology;
  topology.cluster = cluster_of_cables({"A:en6-B:en7", "B:en6-A:en7"});
  std::string dot = draw_dot(topology);
  EXPECT_THAT(dot, HasSubstr(R"("A" -- "B" [taillabel="en6", headlabel="en7", label="c1")"));
  EXPECT_THAT(dot, HasSubstr(R"(label="c2", color="#E69F00")"));  // the second rail of the pair
}

TEST(Draw, WrongCellsAreDashed) {
  std::string text = "[[null, [\"en6\", \"en7\"]],\n[[\"en6\", \"en7\"], null]]\n";
  Inspection found = inspected(text, {"A:en6-B:en7", "A:en7-B:en6"});
  EXPECT_THAT(draw_dot(matrix_topology(text), &found), HasSubstr("style=dashed"));
  EXPECT_THAT(draw_dot(matrix_topology(text)), testing::Not(HasSubstr("style=dashed")));
}

}  // namespace
}  // namespace railyard::harness
