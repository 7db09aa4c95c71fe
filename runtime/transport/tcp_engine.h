// An engine over TCP: one connection to each peer.
#pragma once

#include <poll.h>

#include <memory>
#include <vector>

#include "transport/engine.h"
#include "transport/tcp_rail.h"

namespace railyard {

class TcpEngine final : public Engine {
 public:
  // Blocks until all ranks have connected. Throws Error.
  TcpEngine(const Config& config, const std::vector<int>& peers, SideChannel& side_channel);

 private:
  void add(int peer, Socket socket);
  bool poll(const Rail* only) override;
  void sleep();
  [[noreturn]] void fail_closed(const TcpRail& rail);

  std::vector<std::unique_ptr<TcpRail>> rails_;
  std::vector<pollfd> waiting_;
  int idle_rounds_ = 0;
};

}  // namespace railyard
