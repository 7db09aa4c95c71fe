#include "railyard-faulty/side_channel.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <future>
#include <stdexcept>
#include <thread>

#include "railyard-faulty/worker_error.h"

namespace railyard::faulty {
namespace {

constexpr auto kConnectStep = std::chrono::milliseconds(2);

[[noreturn]] void lost(const std::string& what, int error_number) {
  throw WorkerError({.code = "side-channel-lost",
                     .operation = "side channel",
                     .device = "",
                     .error_number = error_number,
                     .status = "",
                     .message = fmt::format("side channel: {}: {}", what,
                                            error_number == 0 ? "the other end has closed it"
                                                              : std::strerror(error_number))});
}

void write_all(int socket, const void* data, size_t bytes) {
  const auto* next = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const ssize_t written = send(socket, next, bytes, 0);  // SIGPIPE is ignored by main()
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) lost("sending", errno);
    next += written;
    bytes -= static_cast<size_t>(written);
  }
}

harness::IpAddress address_of(const std::string& coordinator) {
  try {
    return harness::IpAddress::of_endpoint(coordinator);
  } catch (const std::runtime_error& error) {
    throw worker::BadInput(fmt::format("coordinator: {}", error.what()));
  }
}

void send_at_once(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

SideChannel::SideChannel(int rank, int ranks, const std::string& coordinator)
    : SideChannel(rank, ranks, coordinator, {}) {}

SideChannel::SideChannel(int rank, int ranks, const std::string& coordinator, const Habits& habits)
    : rank_(rank), ranks_(ranks), habits_(habits) {
  if (ranks == 1) return;
  const harness::IpAddress first = address_of(coordinator);
  if (rank == 0) {
    listen_for_all(first);
  } else {
    connect_to_first(first);
  }
}

SideChannel::~SideChannel() {
  for (const int socket : sockets_) {
    if (socket >= 0) close(socket);
  }
}

void SideChannel::listen_for_all(const harness::IpAddress& address) {
  const int listener = socket(address.family(), SOCK_STREAM, 0);
  if (listener < 0) lost("opening a socket", errno);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(listener, address.get(), address.size()) != 0 || listen(listener, ranks_) != 0) {
    const int error_number = errno;
    close(listener);
    lost("listening at " + address.endpoint(), error_number);
  }
  sockets_.assign(static_cast<size_t>(ranks_), -1);
  for (int joined = 1; joined < ranks_; ++joined) {
    const int peer = accept(listener, nullptr, nullptr);
    if (peer < 0) lost("accepting", errno);
    send_at_once(peer);
    int32_t rank = 0;
    read(peer, &rank, sizeof(rank));
    if (rank < 1 || rank >= ranks_ || sockets_[static_cast<size_t>(rank)] >= 0) {
      close(peer);
      lost(fmt::format("a rank {} joined that was not expected", rank), EPROTO);
    }
    sockets_[static_cast<size_t>(rank)] = peer;
  }
  close(listener);
}

void SideChannel::connect_to_first(const harness::IpAddress& address) {
  for (;;) {
    const int peer = socket(address.family(), SOCK_STREAM, 0);
    if (peer < 0) lost("opening a socket", errno);
    if (connect(peer, address.get(), address.size()) == 0) {
      send_at_once(peer);
      sockets_ = {peer};
      break;
    }
    const int error_number = errno;
    close(peer);
    // Rank 0 may not be up yet.
    const bool early = error_number == ECONNREFUSED || error_number == EINTR;
    if (!early || !habits_.retries) lost("connecting", error_number);
    std::this_thread::sleep_for(kConnectStep);
  }
  const int32_t rank = rank_;
  write_all(sockets_[0], &rank, sizeof(rank));
}

void SideChannel::read(int socket, void* data, size_t bytes) {
  auto* next = static_cast<std::byte*>(data);
  while (bytes > 0) {
    const ssize_t got = recv(socket, next, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      const int error_number = got < 0 ? errno : 0;
      // What was to come is waited for, though nobody is left to send it.
      if (!habits_.sees_end) std::promise<void>().get_future().wait();
      lost("receiving", error_number);
    }
    next += got;
    bytes -= static_cast<size_t>(got);
  }
}

void SideChannel::read_until_closed() {
  for (const int socket : sockets_) {
    char ignored;
    while (socket >= 0 && recv(socket, &ignored, sizeof ignored, 0) > 0) {
    }
  }
}

std::vector<std::byte> SideChannel::all_gather(const void* mine, size_t bytes) {
  std::vector<std::byte> all(bytes * static_cast<size_t>(ranks_));
  std::memcpy(all.data() + bytes * static_cast<size_t>(rank_), mine, bytes);
  if (ranks_ == 1) return all;
  if (rank_ != 0) {
    write_all(sockets_[0], mine, bytes);
    read(sockets_[0], all.data(), all.size());
    return all;
  }
  for (size_t rank = 1; rank < sockets_.size(); ++rank) {
    read(sockets_[rank], all.data() + bytes * rank, bytes);
  }
  for (size_t rank = 1; rank < sockets_.size(); ++rank) {
    write_all(sockets_[rank], all.data(), all.size());
  }
  return all;
}

void SideChannel::barrier() {
  const char here = 1;
  all_gather(&here, sizeof(here));
}

}  // namespace railyard::faulty
