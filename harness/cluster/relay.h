// Stands between the ranks and rank 0's listening socket, so that the side channel can be broken.
#pragma once

#include <memory>
#include <string>

#include "cluster/side_channel.h"

namespace railyard::harness {

// Every rank but 0 gets a port of its own on 127.0.0.1; what connects there is passed on to rank
// 0's port, which may be opened later. Works on a thread of its own.
class Relay : public SideChannel {
 public:
  // `target`: the address of rank 0's machine.
  Relay(int ranks, int target_port, const std::string& target = "127.0.0.1");
  ~Relay() override;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Where this rank finds its coordinator; rank 0: the target itself.
  int port(int rank) const;

  void refuse(int rank, bool on) override;
  void cut(int rank) override;
  void hang(int rank, bool on) override;
  void slow(int rank, std::chrono::nanoseconds delay) override;
  Counts counts(int rank) const override;
  bool delaying() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace railyard::harness
