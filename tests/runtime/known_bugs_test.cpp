// Bugs that other runtimes had and that no other suite has a test for; runtime/README.md lists all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <infiniband/verbs.h>

#include <fmt/format.h>

#include <optional>
#include <system_error>

#include "yard.h"

namespace railyard::test {
namespace {

using testing::HasSubstr;

// mlx#3451: the own chunk was sent from memory that was filled anew before it had been added.
TEST(KnownBugs, Mlx3451OwnChunkWhileAPeerIsLate) {
  for (const char* profile : {"permissive", "apple-thunderbolt5"}) {
    Yard yard(profile, 3);
    std::vector<std::string> steps;
    for (int late : {0, 1, 2}) {
      steps.push_back(fmt::format("sleep:{}:50", late));
      steps.push_back("all_sum:float32:400000:2:inplace");
      steps.push_back("all_sum:float32:20000:3:inplace");
    }
    expect_ok(yard.backend("mesh").run(steps));
  }
}

// mlx#3152, #4178: a completion whose status nobody reads.
TEST(KnownBugs, Mlx3152CompletionWithAnErrorIsNamed) {
  Yard yard("apple-thunderbolt5", 2);
  yard.fabric().arm({.verb = "ibv_poll_cq",
                     .node = 1,
                     .nth = 30,
                     .action = fabric::VerbFault::Action::alter,
                     .error_number = IBV_WC_LOC_PROT_ERR});
  for (const Outcome& outcome : yard.run({"all_sum:float16:14336:100000"})) {
    EXPECT_EQ(outcome.code, "completion-error") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("completed with"));
  }
}

// mlx#3245, #4282: the port of a sub-group was computed from the parent's, and two groups met on
// it.
TEST(KnownBugs, Mlx4282PortsOfSubGroupsDoNotCollide) {
  std::optional<Yard> parent;
  std::optional<harness::ReservedPort> beside;
  for (int tries = 0; !beside; ++tries) {
    parent.emplace("permissive", 2);
    try {
      beside.emplace(true, "127.0.0.1", parent->port() + 1000);
    } catch (const std::system_error& error) {
      ASSERT_LT(tries, 100) << error.what();  // that one is taken; the next pair may be free
    }
  }
  Yard &first = *parent, second("permissive", 2);
  second.port(beside->number());
  std::vector<std::string> steps = {"split:0,0:0,0", "sleep:-1:200", "split:0,0:1,0"};
  first.backend("tcp").start(steps);
  second.backend("tcp").start(steps);
  expect_ok(first.ranks().wait());
  expect_ok(second.ranks().wait());
}

// mlx#3162: from five ranks on, a region for every buffer was more than a device has.
TEST(KnownBugs, Mlx3162RegionsOfSixRanks) {
  Yard yard("apple-thunderbolt5", 6, 1, R"({"rules": {"memory_regions": {"is": 2}}})");
  expect_ok(yard.backend("mesh").run({"operations:float32:30000", "barrier"}));
}

// mlx#3467, #3389, #3468: the index of the address was fixed, and the table has it elsewhere.
TEST(KnownBugs, Mlx3389AddressAtAnotherIndex) {
  Yard yard("apple-thunderbolt5", 2);
  for (int port : {0, 1}) {
    auto mapped = std::array<uint8_t, 16>{
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, static_cast<uint8_t>(port + 1)};
    yard.fabric().set_gid(port, 1, std::nullopt);
    yard.fabric().set_gid(port, 2, mapped);
  }
  expect_ok(yard.run({"all_sum:float32:100000:3"}));
}

TEST(KnownBugs, Mlx3467NoAddressAtAllIsNamed) {
  Yard yard("apple-thunderbolt5", 2);
  for (int index : {0, 1, 2}) yard.fabric().set_gid(0, index, std::nullopt);
  for (const Outcome& outcome : yard.run({"barrier"})) {
    EXPECT_EQ(outcome.code, "device") << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("none of its"));
    EXPECT_THAT(outcome.output, HasSubstr("give the interface an address"));
  }
}

// mlx#3388, mlx-swift#371: a rank that is done leaves while another is still busy, and exits.
TEST(KnownBugs, Mlx3388DestructionReturns) {
  for (const char* backend : {"mesh", "tcp"}) {
    Yard yard("permissive", 3);
    yard.backend(backend);
    for (int rank : {0, 1}) yard.start_rank(rank, {"barrier"});
    yard.start_rank(2, {"barrier", "wait"});
    auto outcomes = yard.ranks().wait_without(2);
    for (size_t rank : {0u, 1u}) EXPECT_TRUE(outcomes[rank].ok()) << outcomes[rank].output;
    yard.ranks().tell_all();
    EXPECT_TRUE(yard.ranks().wait()[2].ok());
  }
}

}  // namespace
}  // namespace railyard::test
