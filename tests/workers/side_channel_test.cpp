#include "railyard-faulty/side_channel.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "cluster/reserved_port.h"
#include "railyard-faulty/worker_error.h"

namespace railyard::faulty {
namespace {

// Runs `rank(channel, number)` for every rank in a thread of its own.
template <typename Rank>
void run_ranks(int ranks, Rank rank) {
  const harness::ReservedPort port(true);
  const std::string coordinator = "127.0.0.1:" + std::to_string(port.number());
  std::vector<std::thread> threads;
  for (int number = 0; number < ranks; ++number) {
    threads.emplace_back([&, number] {
      SideChannel channel(number, ranks, coordinator);
      rank(channel, number);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(SideChannel, EveryRankGetsEveryonesInOrder) {
  run_ranks(4, [](SideChannel& channel, int number) {
    for (int round = 0; round < 3; ++round) {
      EXPECT_EQ(all_gather(channel, number + 10 * round, 4),
                (std::vector<int>{10 * round, 10 * round + 1, 10 * round + 2, 10 * round + 3}));
      channel.barrier();
    }
  });
}

TEST(SideChannel, OneRankNeedsNobody) {
  SideChannel channel(0, 1, "");
  EXPECT_EQ(all_gather(channel, 7, 1), std::vector<int>{7});
}

TEST(SideChannel, ALostPeerIsAnError) {
  run_ranks(2, [](SideChannel& channel, int number) {
    if (number == 1) return;  // leaves at once
    try {
      channel.barrier();
      ADD_FAILURE() << "the barrier passed without rank 1";
    } catch (const WorkerError& error) {
      EXPECT_EQ(error.failure().code, "side-channel-lost");
    }
  });
}

TEST(SideChannel, AnAddressThatIsNoneIsBadInput) {
  EXPECT_THROW(SideChannel(0, 2, "nowhere"), worker::BadInput);
  EXPECT_THROW(SideChannel(1, 2, "host.example:80"), worker::BadInput);
}

}  // namespace
}  // namespace railyard::faulty
