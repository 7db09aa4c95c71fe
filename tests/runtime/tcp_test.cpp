// Groups over TCP; their collectives are tested with all others in operations_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "yard.h"

namespace railyard::test {
namespace {

using testing::HasSubstr;

TEST(Tcp, NeedsNoDevices) {
  Yard yard("permissive", 3);
  expect_ok(yard.matrix("").set("RAILYARD_SIZE", "3").run({"operations:int64:999", "barrier"}));
}

// mlx#3149
TEST(Tcp, Mlx3149SizesOfMessagesAlternate) {
  for (const char* backend : {"tcp", "tcp-ring"}) {
    Yard yard("permissive", 2);
    expect_ok(yard.backend(backend).run({"move:0:1:4:3", "move:0:1:102400:2", "move:0:1:4096",
                                         "move:1:0:1", "move:0:1:0", "move:1:0:5000000",
                                         "move:0:1:100:2000", "barrier"}));
  }
}

// mlx#4060: a peer's closed connection ends every wait.
TEST(Tcp, Mlx4060KilledRank) {
  for (const char* backend : {"tcp", "tcp-ring"}) {
    Yard yard("permissive", 3);
    yard.backend(backend).start({"barrier", "die:1", "all_sum:float32:100000:1000"});
    auto outcomes = yard.ranks().wait();
    for (size_t rank : {0u, 2u}) {
      EXPECT_EQ(outcomes[rank].code, "peer-dead") << backend << ": " << outcomes[rank].output;
      EXPECT_EQ(outcomes[rank].fields["peer"], "1");
      EXPECT_LT(outcomes[rank].took, std::chrono::seconds(10));
    }
  }
}

TEST(Tcp, StoppedRankEndsTheWaitAtTheDeadline) {
  Yard yard("permissive", 2);
  yard.backend("tcp").deadline_ms(1000).start({"barrier", "stop:1", "all_sum:float32:100:1"});
  auto outcomes = yard.ranks().wait_without(1);
  EXPECT_EQ(outcomes[0].code, "peer-unreachable") << outcomes[0].output;
  EXPECT_EQ(outcomes[0].fields["peer"], "1");
}

TEST(Tcp, TwoMaySendMuchToEachOtherBeforeEitherReceives) {
  expect_ok(Yard("permissive", 2).backend("tcp").run({"cross:20000000", "barrier"}));
}

TEST(Tcp, RingReachesNeighboursOnly) {
  Yard yard("permissive", 4);
  auto outcomes = yard.backend("tcp-ring").run({"move:0:2:8"});
  EXPECT_EQ(outcomes[0].code, "configuration") << outcomes[0].output;
}

}  // namespace
}  // namespace railyard::test
