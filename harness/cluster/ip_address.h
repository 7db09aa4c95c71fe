// An address of the internet protocol, of either version, with a port.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

namespace railyard::harness {

class IpAddress {
 public:
  // Whether a text is one: "10.0.0.1", "fd00::1".
  static bool is(const std::string& text);

  // Throws std::runtime_error where the text is none.
  explicit IpAddress(const std::string& text, int port = 0);
  // Takes what endpoint() gives. Throws std::runtime_error.
  static IpAddress of_endpoint(const std::string& text);
  // That of this end of a socket. Throws std::runtime_error.
  static IpAddress of(int socket);

  int family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const;
  int port() const;
  std::string text() const;      // "fd00::1"
  std::string endpoint() const;  // "10.0.0.1:80", "[fd00::1]:80"

 private:
  IpAddress() = default;
  sockaddr_in& v4() { return reinterpret_cast<sockaddr_in&>(storage_); }
  sockaddr_in6& v6() { return reinterpret_cast<sockaddr_in6&>(storage_); }
  const sockaddr_in& v4() const { return reinterpret_cast<const sockaddr_in&>(storage_); }
  const sockaddr_in6& v6() const { return reinterpret_cast<const sockaddr_in6&>(storage_); }

  sockaddr_storage storage_{};
};

}  // namespace railyard::harness
