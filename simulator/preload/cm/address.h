// Addresses of the connection manager, and the sockets behind them.
//
// Who is bound to a port holds a SOCK_SEQPACKET socket with an abstract name made of the fabric,
// the port space, the address and the port: the kernel sees to it that a port has one holder, that
// nobody connects to one who does not listen, that a death is noticed, and that nothing stays
// behind.
#pragma once

#include <infiniband/verbs.h>
#include <netinet/in.h>

#include <cstdint>
#include <optional>
#include <string>

namespace railyard::cm {

// IPv4 or IPv6. Family 0: not known.
class Address {
 public:
  Address() = default;
  // From what a program gives: an IPv4 or IPv6 address in the room of an IPv6 one. IPv6-mapped ones
  // become IPv4.
  static Address from(const void* address, size_t size);

  bool known() const { return raw_.sin6_family != 0; }
  bool wildcard() const;
  bool multicast() const;
  uint16_t port() const { return ntohs(raw_.sin6_port); }  // at the same place in both families
  void set_port(uint16_t port) { raw_.sin6_port = htons(port); }
  // As the kernel's interface has it.
  const sockaddr_in6& raw() const { return raw_; }
  size_t size() const { return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6); }
  int family() const { return raw_.sin6_family; }
  // Without the port: "127.0.0.1"; "*" for every address of the node.
  std::string host() const;
  // A loopback address of the same family, for a program that says where to but not where from.
  Address loopback() const;
  // The multicast group of this address, as the kernel maps it.
  ibv_gid group(bool infiniband, bool datagram) const;

 private:
  const in_addr& ipv4() const { return reinterpret_cast<const sockaddr_in&>(raw_).sin_addr; }

  sockaddr_in6 raw_{};
};

// A socket that holds `address` (its port is chosen and set when it is 0): the socket, or -1 with
// errno EADDRINUSE.
int hold(const std::string& fabric, uint16_t port_space, Address& address);

// A socket whose name says that `node` is bound to `address`, for those who look for it before they
// connect: the socket, or -1.
int tell_node(const std::string& fabric, uint16_t port_space, const Address& address,
              uint32_t node);

// The node that is bound to an address, or to its port on every address. Reads /proc/net/unix.
std::optional<uint32_t> node_at(const std::string& fabric, uint16_t port_space,
                                const Address& address);

// Connects a socket to whoever listens there: 0 or an errno (ECONNREFUSED: nobody does). Does not
// block.
int reach(int socket, const std::string& fabric, uint16_t port_space, const Address& address);

}  // namespace railyard::cm
