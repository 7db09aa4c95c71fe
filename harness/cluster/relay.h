// Stands between the ranks and rank 0's listening socket, so that the side channel can be broken.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

namespace railyard::harness {

// Every rank but 0 gets a port of its own on 127.0.0.1; what connects there is passed on to rank
// 0's port, which may be opened later. A rank of -1 means all of them. Thread-safe; works on a
// thread of its own.
class Relay {
 public:
  struct Counts {
    uint64_t accepted = 0;        // connections
    uint64_t cut = 0;             // of them, broken off by cut()
    uint64_t withheld_bytes = 0;  // read while hanging; they pass when it ends
    uint64_t withheld_ends = 0;   // closed by one side while hanging
    uint64_t delayed = 0;         // pieces that waited
  };

  Relay(int ranks, int target_port);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Where this rank finds its coordinator; rank 0: the target itself.
  int port(int rank) const;

  // Connections are refused, as if nobody listened.
  void refuse(int rank, bool on);
  // Resets the connections there are.
  void cut(int rank);
  // Nothing passes any more, not even the end of a connection: half-open.
  void hang(int rank, bool on);
  // Every piece of data waits so long first.
  void slow(int rank, std::chrono::nanoseconds delay);

  Counts counts(int rank) const;
  // Whether a delayed piece waits now.
  bool delaying() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace railyard::harness
