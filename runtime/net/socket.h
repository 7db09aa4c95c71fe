// TCP sockets for the data of groups without RDMA, and for listeners whose port the system chooses.
// All sockets are non-blocking and closed in child processes. Functions throw Error
// (side_channel_lost) with errno.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace railyard {

using SocketDeadline = std::chrono::steady_clock::time_point;

class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  int descriptor() const { return descriptor_; }
  // Gives the descriptor away.
  int release() { return std::exchange(descriptor_, -1); }
  void close();

  // What the system takes or has at once, in bytes: 0 for nothing now; none at the connection's
  // end, with the reason in errno (0: the peer has closed it).
  std::optional<size_t> send(const std::byte* data, size_t bytes);
  std::optional<size_t> receive(std::byte* data, size_t bytes);

  // All of it, before the deadline.
  void send_all(const void* data, size_t bytes, SocketDeadline deadline);
  void receive_all(void* data, size_t bytes, SocketDeadline deadline);

 private:
  int descriptor_ = -1;
};

struct Listener {
  Socket socket;
  std::string endpoint;  // "ip:port", the port chosen by the system

  // On this address of this machine.
  static Listener open(const std::string& ip);
  Socket accept(SocketDeadline deadline) const;
};

// Tries until the deadline.
Socket connect(const std::string& endpoint, SocketDeadline deadline);

// What a listener tells those it waits for, to know them by.
uint64_t random_token();

// The address of this machine from which `endpoint` is reached.
std::string address_towards(const std::string& endpoint);

}  // namespace railyard
