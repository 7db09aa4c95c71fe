#include "bootstrap/side_channel.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <future>
#include <thread>

#include "cluster/reserved_port.h"

namespace railyard {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using Clock = SideChannel::Clock;

// Ranks are threads here: the side channel knows nothing of processes.
class SideChannelTest : public testing::Test {
 protected:
  SideChannel::Options options(int rank, int size, int deadline_ms = 5000) const {
    return {rank, size, fmt::format("127.0.0.1:{}", port_.number()), milliseconds(deadline_ms)};
  }

  // Runs `work(rank)` for each rank; returns the text of each one's error, or "ok".
  static std::vector<std::string> run(const std::vector<int>& ranks,
                                      const std::function<void(int)>& work) {
    std::vector<std::future<std::string>> results;
    for (int rank : ranks) {
      results.push_back(std::async(std::launch::async, [&work, rank]() -> std::string {
        try {
          work(rank);
          return "ok";
        } catch (const Error& error) {
          return fmt::format("{} peer={} {}", name(error.code()), error.peer, error.what());
        }
      }));
    }
    std::vector<std::string> texts;
    for (auto& result : results) texts.push_back(result.get());
    return texts;
  }

  // Connects to rank 0's port, or listens there in its place.
  int stranger(int (*meet)(int, const sockaddr*, socklen_t)) const {
    int descriptor = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port_.number()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (meet(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      return descriptor;
    }
    close(descriptor);
    return -1;
  }

  const harness::ReservedPort port_{true};
};

TEST_F(SideChannelTest, ExchangesInTheOrderOfRanks) {
  auto texts = run({0, 1, 2, 3}, [&](int rank) {
    auto channel = SideChannel::connect(options(rank, 4));
    for (int round = 0; round < 20; ++round) {
      auto all = channel->exchange(fmt::format("{}/{}", rank, round), "to exchange",
                                   Clock::now() + milliseconds(5000));
      for (int other = 0; other < 4; ++other) {
        if (all[static_cast<size_t>(other)] != fmt::format("{}/{}", other, round)) {
          throw Error(ErrorCode::device, "wrong part");
        }
      }
    }
  });
  EXPECT_THAT(texts, ElementsAre("ok", "ok", "ok", "ok"));
}

TEST_F(SideChannelTest, NamesTheMissing) {
  auto texts = run({0, 2}, [&](int rank) { SideChannel::connect(options(rank, 4, 400)); });
  EXPECT_EQ(texts[0],
            "deadline-exceeded peer=1 bootstrap: ranks 1 and 3 did not come to join within 400 ms");
  EXPECT_THAT(texts[1], HasSubstr("ranks 1 and 3 did not come to join within 400 ms"));
}

TEST_F(SideChannelTest, FirstFailureReachesAll) {
  auto texts = run({0, 1, 2}, [&](int rank) {
    auto channel = SideChannel::connect(options(rank, 3));
    if (rank == 1) channel->report({ErrorCode::completion_error, 1, 2, "all_sum: a send failed"});
    if (!channel->wait_for_news(milliseconds(3000))) return;
    throw to_error(channel->news(), "barrier", rank);
  });
  EXPECT_EQ(texts[0],
            "completion-error peer=2 barrier: rank 1 failed first: all_sum: a send failed");
  EXPECT_EQ(texts[1], "completion-error peer=2 barrier: all_sum: a send failed");
  EXPECT_EQ(texts[2],
            "completion-error peer=1 barrier: rank 1 failed first: all_sum: a send failed");
}

TEST_F(SideChannelTest, GoodbyeIsNoFailure) {
  auto texts = run({0, 1, 2}, [&](int rank) {
    auto channel = SideChannel::connect(options(rank, 3));
    if (rank == 1) return;
    if (channel->wait_for_news(milliseconds(300))) throw to_error(channel->news(), "wait", rank);
    if (!channel->has_left(1)) throw Error(ErrorCode::device, "the goodbye was lost");
  });
  EXPECT_THAT(texts, ElementsAre("ok", "ok", "ok"));
}

TEST_F(SideChannelTest, DifferentSizesAreRefused) {
  auto texts = run({0, 1}, [&](int rank) { SideChannel::connect(options(rank, 2 + rank, 2000)); });
  for (const std::string& text : texts) {
    EXPECT_THAT(text, HasSubstr("rank 1 has a group of 3 ranks, rank 0 one of 2"));
  }
}

TEST_F(SideChannelTest, StrangersAreIgnored) {
  auto texts = run({0, 1, 7}, [&](int rank) {
    if (rank < 2) {
      if (rank == 1) std::this_thread::sleep_for(milliseconds(300));
      SideChannel::connect(options(rank, 2));
      return;
    }
    std::this_thread::sleep_for(milliseconds(100));
    int visitor = stranger(connect);
    if (visitor >= 0) {
      const char* words = "GET / HTTP/1.1\r\n\r\n";
      if (write(visitor, words, 18) != 18) throw Error(ErrorCode::device, "not written");
    }
    std::this_thread::sleep_for(milliseconds(300));
    close(visitor);
  });
  EXPECT_THAT(texts, ElementsAre("ok", "ok", "ok"));
}

TEST_F(SideChannelTest, PortInUse) {
  int other = stranger(bind);
  ASSERT_EQ(listen(other, 1), 0);
  auto texts = run({0}, [&](int rank) { SideChannel::connect(options(rank, 2, 500)); });
  EXPECT_THAT(texts[0], HasSubstr("side-channel-lost"));
  EXPECT_THAT(texts[0], HasSubstr("cannot listen on 127.0.0.1"));
  close(other);
}

}  // namespace
}  // namespace railyard
