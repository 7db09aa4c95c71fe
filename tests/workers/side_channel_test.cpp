#include "railyard-faulty/side_channel.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "railyard-faulty/worker_error.h"

namespace railyard::faulty {
namespace {

// An address nobody listens at.
std::string free_coordinator() {
  const int probe = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  bind(probe, reinterpret_cast<sockaddr*>(&address), length);
  getsockname(probe, reinterpret_cast<sockaddr*>(&address), &length);
  close(probe);
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

// Runs `rank(channel, number)` for every rank in a thread of its own.
template <typename Rank>
void run_ranks(int ranks, Rank rank) {
  const std::string coordinator = free_coordinator();
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
