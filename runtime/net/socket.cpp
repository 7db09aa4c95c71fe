#include "net/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <thread>

#include "config/endpoint.h"
#include "railyard/error.h"

namespace railyard {

namespace {

#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;  // macOS: an option of the socket, see prepare()
#endif
constexpr int kBacklog = 128;
constexpr std::chrono::milliseconds kBetweenAttempts{20};

[[noreturn]] void fail(const std::string& what, int error) {
  ErrorFields fields;
  fields.operation = "bootstrap";
  fields.error_number = error;
  throw Error(ErrorCode::side_channel_lost,
              fmt::format("bootstrap: {}: {}", what,
                          error ? std::strerror(error) : "the other side has closed"),
              fields);
}

// An address of either family.
struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  explicit Address(const config::Endpoint& endpoint) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    if (inet_pton(AF_INET6, endpoint.ip.c_str(), &v6->sin6_addr) == 1) {
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(endpoint.port);
      bytes = sizeof(*v6);
    } else {
      inet_pton(AF_INET, endpoint.ip.c_str(), &v4->sin_addr);
      v4->sin_family = AF_INET;
      v4->sin_port = htons(endpoint.port);
      bytes = sizeof(*v4);
    }
  }
  Address() : bytes(sizeof(storage)) {}

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  std::string ip() const {
    char text[INET6_ADDRSTRLEN] = "";
    const void* address = &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr;
    if (family() == AF_INET6) address = &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
    inet_ntop(family(), address, text, sizeof(text));
    return text;
  }
  uint16_t port() const { return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port); }
};

void prepare(int descriptor) {
  int yes = 1;
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
#ifdef SO_NOSIGPIPE
  setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof(yes));
#endif
}

Socket open_socket(int family, int type) {
  Socket socket(::socket(family, type, 0));
  if (socket.descriptor() < 0) fail("no socket", errno);
  prepare(socket.descriptor());
  return socket;
}

void wait(const Socket& socket, short events, SocketDeadline deadline) {
  auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd waiting{socket.descriptor(), events, 0};
  if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0) {
    fail("a connection was not ready in time", ETIMEDOUT);
  }
}

bool is_for_later(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

void Socket::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

std::optional<size_t> Socket::send(const std::byte* data, size_t bytes) {
  ssize_t sent = ::send(descriptor_, data, bytes, kNoSignal);
  if (sent >= 0) return static_cast<size_t>(sent);
  if (is_for_later(errno)) return 0;
  return std::nullopt;
}

std::optional<size_t> Socket::receive(std::byte* data, size_t bytes) {
  ssize_t got = ::recv(descriptor_, data, bytes, 0);
  if (got > 0) return static_cast<size_t>(got);
  if (got < 0 && is_for_later(errno)) return 0;
  if (got == 0) errno = 0;
  return std::nullopt;
}

void Socket::send_all(const void* data, size_t bytes, SocketDeadline deadline) {
  auto* from = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    auto sent = send(from, bytes);
    if (!sent) fail("a connection was lost", errno);
    if (*sent == 0) wait(*this, POLLOUT, deadline);
    from += *sent;
    bytes -= *sent;
  }
}

void Socket::receive_all(void* data, size_t bytes, SocketDeadline deadline) {
  auto* to = static_cast<std::byte*>(data);
  while (bytes > 0) {
    auto got = receive(to, bytes);
    if (!got) fail("a connection was lost", errno);
    if (*got == 0) wait(*this, POLLIN, deadline);
    to += *got;
    bytes -= *got;
  }
}

Listener Listener::open(const std::string& ip) {
  Address address(config::Endpoint{ip, 0});
  Listener listener{open_socket(address.family(), SOCK_STREAM), {}};
  int descriptor = listener.socket.descriptor();
  if (bind(descriptor, address.get(), address.bytes) != 0 || listen(descriptor, kBacklog) != 0 ||
      getsockname(descriptor, address.get(), &address.bytes) != 0) {
    fail("cannot listen on " + ip, errno);
  }
  std::string host = address.family() == AF_INET6 ? fmt::format("[{}]", ip) : ip;
  listener.endpoint = fmt::format("{}:{}", host, address.port());
  return listener;
}

Socket Listener::accept(SocketDeadline deadline) const {
  for (;;) {
    wait(socket, POLLIN, deadline);
    Socket connection(::accept(socket.descriptor(), nullptr, nullptr));
    if (connection.descriptor() < 0) continue;
    prepare(connection.descriptor());
    return connection;
  }
}

Socket connect(const std::string& endpoint, SocketDeadline deadline) {
  Address address(config::parse_endpoint("endpoint", endpoint));
  for (;;) {
    Socket socket = open_socket(address.family(), SOCK_STREAM);
    if (::connect(socket.descriptor(), address.get(), address.bytes) == 0) return socket;
    int error = errno;
    if (error == EINPROGRESS) {
      wait(socket, POLLOUT, deadline);
      socklen_t bytes = sizeof(error);
      getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    }
    if (error == 0) return socket;
    if (std::chrono::steady_clock::now() >= deadline) fail("cannot connect to " + endpoint, error);
    std::this_thread::sleep_for(kBetweenAttempts);
  }
}

uint64_t random_token() {
  std::random_device random;
  return (static_cast<uint64_t>(random()) << 32) | random();
}

std::string address_towards(const std::string& endpoint) {
  Address address(config::parse_endpoint("endpoint", endpoint));
  // Nothing is sent: connecting a datagram socket only looks up the route.
  Socket socket = open_socket(address.family(), SOCK_DGRAM);
  Address mine;
  if (::connect(socket.descriptor(), address.get(), address.bytes) != 0 ||
      getsockname(socket.descriptor(), mine.get(), &mine.bytes) != 0) {
    fail("there is no way to " + endpoint, errno);
  }
  return mine.ip();
}

}  // namespace railyard
