#include "transport/tcp_engine.h"

#include <fmt/format.h>

#include <cstring>

#include "bootstrap/wire.h"

namespace railyard {

namespace {

// The first bytes of a connection. Whoever does not know the listener's token is a stranger.
struct Greeting {
  uint64_t token = 0;
  int32_t rank = -1;
  uint32_t zero = 0;
};

// So many rounds without a byte, then this thread leaves the processor to others for a while.
constexpr int kIdleRounds = 200;
constexpr int kSleepMs = 1;
// How long the end of a connection waits for news that explains it.
constexpr std::chrono::milliseconds kTimeForNews{250};

}  // namespace

TcpEngine::TcpEngine(const Config& config, const std::vector<int>& peers, SideChannel& side_channel)
    : Engine(config, side_channel) {
  auto deadline = std::chrono::steady_clock::now() + config.bootstrap_deadline;
  Listener listener = Listener::open(address_towards(config.coordinator));
  uint64_t token = random_token();
  auto all = side_channel.exchange(WireWriter().put(listener.endpoint).put(token).take(),
                                   "to exchange addresses", deadline);
  int expected = 0;
  for (int peer : peers) {
    if (peer > config.rank) {
      ++expected;
      continue;
    }
    WireReader address(all.at(static_cast<size_t>(peer)));
    Socket socket = railyard::connect(address.text(), deadline);
    Greeting greeting{address.get<uint64_t>(), config.rank};
    socket.send_all(&greeting, sizeof(greeting), deadline);
    add(peer, std::move(socket));
  }
  while (expected > 0) {
    Socket socket = listener.accept(deadline);
    Greeting greeting;
    socket.receive_all(&greeting, sizeof(greeting), deadline);
    bool known = greeting.token == token && greeting.rank > config.rank &&
                 greeting.rank < config.size() && link(greeting.rank).rails.empty();
    if (!known) continue;
    add(greeting.rank, std::move(socket));
    --expected;
  }
  side_channel.exchange("", "to connect", deadline);
}

void TcpEngine::add(int peer, Socket socket) {
  Rail::Place place{static_cast<int>(rails_.size()), peer, 0};
  waiting_.push_back({socket.descriptor(), POLLIN, 0});
  rails_.push_back(std::make_unique<TcpRail>(place, std::move(socket)));
  link(peer).peer = peer;
  link(peer).rails.push_back(rails_.back().get());
}

bool TcpEngine::poll(const Rail*) {
  bool moved = false;
  for (const auto& rail : rails_) {
    if (rail->move()) moved = true;
    // What has come from a peer that left may still be read.
    if (rail->closed() && !side_channel_.has_left(rail->peer())) fail_closed(*rail);
  }
  idle_rounds_ = moved ? 0 : idle_rounds_ + 1;
  if (idle_rounds_ > kIdleRounds) sleep();
  return moved;
}

void TcpEngine::sleep() {
  for (size_t i = 0; i < rails_.size(); ++i) {
    waiting_[i].fd = rails_[i]->closed() ? -1 : rails_[i]->descriptor();
    waiting_[i].events = static_cast<short>(POLLIN | (rails_[i]->sends_pending() ? POLLOUT : 0));
  }
  ::poll(waiting_.data(), static_cast<nfds_t>(waiting_.size()), kSleepMs);
}

void TcpEngine::fail_closed(const TcpRail& rail) {
  if (side_channel_.wait_for_news(kTimeForNews)) {
    throw to_error(side_channel_.news(), "tcp", config_.rank);
  }
  ErrorFields fields = fields_of("tcp", rail.place());
  fields.error_number = rail.error_number();
  throw Error(ErrorCode::peer_dead,
              fmt::format("the connection to rank {} has ended: {}", rail.peer(),
                          rail.error_number() ? std::strerror(rail.error_number())
                                              : "the other side has closed it"),
              fields);
}

}  // namespace railyard
