// A small star of TCP connections over which ranks tell each other their addresses.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "cluster/ip_address.h"

namespace railyard::faulty {

// Rank 0 listens at `coordinator` ("ip:port"), all others connect to it. Calls block without a
// deadline: whoever started the ranks ends them. Throws WorkerError (side-channel-lost) when a
// connection breaks.
class SideChannel {
 public:
  // A default is the right way.
  struct Habits {
    bool retries = true;   // while nobody listens yet
    bool sees_end = true;  // a connection that was closed is an error
  };

  SideChannel(int rank, int ranks, const std::string& coordinator);
  SideChannel(int rank, int ranks, const std::string& coordinator, const Habits& habits);
  ~SideChannel();
  SideChannel(const SideChannel&) = delete;
  SideChannel& operator=(const SideChannel&) = delete;

  // Every rank gives `bytes` bytes and gets everyone's, in order of rank.
  std::vector<std::byte> all_gather(const void* mine, size_t bytes);

  // Returns when every rank has called it.
  void barrier();

  // Returns when the other ends have closed their connections.
  void read_until_closed();

 private:
  void read(int socket, void* data, size_t bytes);
  void listen_for_all(const harness::IpAddress& address);
  void connect_to_first(const harness::IpAddress& address);

  int rank_;
  int ranks_;
  Habits habits_;
  std::vector<int> sockets_;  // rank 0: to every rank (itself: -1); others: one, to rank 0
};

// Every rank's T, in order of rank.
template <typename T>
std::vector<T> all_gather(SideChannel& channel, const T& mine, int ranks) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> all(static_cast<size_t>(ranks));
  const std::vector<std::byte> bytes = channel.all_gather(&mine, sizeof(T));
  std::memcpy(static_cast<void*>(all.data()), bytes.data(), bytes.size());
  return all;
}

}  // namespace railyard::faulty
