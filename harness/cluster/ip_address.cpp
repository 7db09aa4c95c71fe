#include "cluster/ip_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace railyard::harness {

bool IpAddress::is(const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

IpAddress::IpAddress(const std::string& text, int port) {
  auto number = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, text.c_str(), &v4().sin_addr) == 1) {
    storage_.ss_family = AF_INET;
    v4().sin_port = number;
  } else if (inet_pton(AF_INET6, text.c_str(), &v6().sin6_addr) == 1) {
    storage_.ss_family = AF_INET6;
    v6().sin6_port = number;
  } else {
    throw std::runtime_error(text + " is no IP address; write one of this machine's");
  }
}

IpAddress IpAddress::of_endpoint(const std::string& text) {
  size_t colon = std::min(text.rfind(':'), text.size());
  std::string host = text.substr(0, colon);
  const char* end = text.data() + text.size();
  int port = 0;
  auto [rest, status] = std::from_chars(text.data() + std::min(colon + 1, text.size()), end, port);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  bool right_port = status == std::errc() && rest == end && port > 0 && port <= 65535;
  if (!right_port || !is(host) || bracketed != (host.find(':') != std::string::npos)) {
    throw std::runtime_error(
        fmt::format("'{}' is no ip:port; write 10.0.0.1:80 or [fd00::1]:80", text));
  }
  return IpAddress(host, port);
}

IpAddress IpAddress::of(int socket) {
  IpAddress address;
  socklen_t size = sizeof address.storage_;
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage_), &size) != 0) {
    throw std::runtime_error(fmt::format("a socket has no address: {}", std::strerror(errno)));
  }
  return address;
}

socklen_t IpAddress::size() const {
  return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

int IpAddress::port() const { return ntohs(family() == AF_INET6 ? v6().sin6_port : v4().sin_port); }

std::string IpAddress::text() const {
  char text[INET6_ADDRSTRLEN] = {};
  const void* bytes = family() == AF_INET6 ? static_cast<const void*>(&v6().sin6_addr)
                                           : static_cast<const void*>(&v4().sin_addr);
  inet_ntop(family(), bytes, text, sizeof text);
  return text;
}

std::string IpAddress::endpoint() const {
  return family() == AF_INET6 ? fmt::format("[{}]:{}", text(), port())
                              : fmt::format("{}:{}", text(), port());
}

}  // namespace railyard::harness
