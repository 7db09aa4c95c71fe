#include "cm/address.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace railyard::cm {

namespace {

constexpr uint16_t kFirstEphemeral = 32768, kLastEphemeral = 60999;  // Linux's default range
constexpr char kNodeMark[] = "/node";

socklen_t name_of(sockaddr_un& name, const std::string& fabric, uint16_t port_space,
                  const std::string& host, uint16_t port) {
  name = {};
  name.sun_family = AF_UNIX;
  int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "railyard-cm%s/%04x/%s/%u",
                        fabric.c_str(), port_space, host.c_str(), port);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(length));
}

}  // namespace

Address Address::from(const void* address, size_t size) {
  Address result;
  memcpy(&result.raw_, address, std::min(size, sizeof result.raw_));
  if (result.family() != AF_INET && result.family() != AF_INET6) return {};
  if (result.family() == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&result.raw_.sin6_addr)) {
    sockaddr_in mapped{};
    mapped.sin_family = AF_INET;
    mapped.sin_port = result.raw_.sin6_port;
    memcpy(&mapped.sin_addr, result.raw_.sin6_addr.s6_addr + 12, sizeof mapped.sin_addr);
    result.raw_ = {};
    memcpy(&result.raw_, &mapped, sizeof mapped);
  }
  return result;
}

bool Address::wildcard() const {
  return family() == AF_INET ? ipv4().s_addr == INADDR_ANY
                             : IN6_IS_ADDR_UNSPECIFIED(&raw_.sin6_addr) != 0;
}

bool Address::multicast() const {
  return family() == AF_INET ? IN_MULTICAST(ntohl(ipv4().s_addr))
                             : IN6_IS_ADDR_MULTICAST(&raw_.sin6_addr) != 0;
}

std::string Address::host() const {
  if (wildcard()) return "*";
  char text[INET6_ADDRSTRLEN] = "";
  const void* from = family() == AF_INET ? static_cast<const void*>(&ipv4()) : &raw_.sin6_addr;
  inet_ntop(family(), from, text, sizeof text);
  return text;
}

Address Address::loopback() const {
  Address result;
  if (family() == AF_INET6) {
    result.raw_.sin6_family = AF_INET6;
    result.raw_.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  } else {
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&result.raw_, &local, sizeof local);
  }
  return result;
}

// As the kernel's cma_set_mgid(), ip_ib_mc_map() and cma_iboe_set_mgid() do.
ibv_gid Address::group(bool infiniband, bool datagram) const {
  ibv_gid gid{};
  uint32_t ip = family() == AF_INET ? ipv4().s_addr : 0;
  if (!infiniband) {
    if (family() == AF_INET6) {
      memcpy(gid.raw, &raw_.sin6_addr, sizeof gid.raw);
      return gid;
    }
    gid.raw[0] = 0xff, gid.raw[1] = 0x0e;
    gid.raw[10] = gid.raw[11] = 0xff;
    memcpy(gid.raw + 12, &ip, sizeof ip);
    return gid;
  }
  const uint8_t* v6 = raw_.sin6_addr.s6_addr;
  if (family() == AF_INET6 && v6[0] == 0xff && v6[1] == 0x10 && v6[2] == 0xa0 && v6[3] == 0x1b) {
    memcpy(gid.raw, v6, sizeof gid.raw);  // it is a GID already
    return gid;
  }
  gid.raw[0] = 0xff, gid.raw[1] = 0x12;
  gid.raw[2] = family() == AF_INET ? 0x40 : 0x60;
  gid.raw[3] = 0x1b;
  gid.raw[4] = gid.raw[5] = 0xff;  // the default partition
  if (family() == AF_INET) {
    memcpy(gid.raw + 12, &ip, sizeof ip);
    gid.raw[12] &= 0x0f;
  } else {
    memcpy(gid.raw + 6, v6 + 6, 10);
  }
  if (datagram) gid.raw[7] = 1;  // this is no IPoIB group
  return gid;
}

int hold(const std::string& fabric, uint16_t port_space, Address& address) {
  int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return -1;
  static thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<int> any(kFirstEphemeral, kLastEphemeral);
  bool choose = address.port() == 0;
  for (int attempt = 0; attempt < (choose ? 1000 : 1); ++attempt) {
    uint16_t port = choose ? static_cast<uint16_t>(any(random)) : address.port();
    sockaddr_un name;
    socklen_t length = name_of(name, fabric, port_space, address.host(), port);
    if (bind(socket, reinterpret_cast<sockaddr*>(&name), length) == 0) {
      address.set_port(port);
      return socket;
    }
    if (errno != EADDRINUSE) break;
  }
  int error = errno;
  ::close(socket);
  errno = error;
  return -1;
}

int tell_node(const std::string& fabric, uint16_t port_space, const Address& address,
              uint32_t node) {
  int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  sockaddr_un name;
  std::string host = address.host() + kNodeMark + std::to_string(node);
  socklen_t length = name_of(name, fabric, port_space, host, address.port());
  if (bind(socket, reinterpret_cast<sockaddr*>(&name), length) == 0) return socket;
  ::close(socket);
  return -1;
}

std::optional<uint32_t> node_at(const std::string& fabric, uint16_t port_space,
                                const Address& address) {
  FILE* names = fopen("/proc/net/unix", "re");
  if (!names) return std::nullopt;
  std::optional<uint32_t> found;
  char line[512];
  while (!found && fgets(line, sizeof line, names)) {
    const char* name = strchr(line, '@');
    if (!name) continue;
    for (const std::string& host : {address.host(), std::string("*")}) {
      sockaddr_un before;
      name_of(before, fabric, port_space, host + kNodeMark, 0);
      std::string prefix(before.sun_path + 1);
      prefix.resize(prefix.size() - 2);  // without "/0"
      if (strncmp(name + 1, prefix.c_str(), prefix.size()) != 0) continue;
      char* end = nullptr;
      unsigned long node = strtoul(name + 1 + prefix.size(), &end, 10);
      if (*end == '/' && strtoul(end + 1, nullptr, 10) == address.port()) {
        found = static_cast<uint32_t>(node);
      }
    }
  }
  fclose(names);
  return found;
}

int reach(int socket, const std::string& fabric, uint16_t port_space, const Address& address) {
  for (const std::string& host : {address.host(), std::string("*")}) {
    sockaddr_un name;
    socklen_t length = name_of(name, fabric, port_space, host, address.port());
    if (connect(socket, reinterpret_cast<sockaddr*>(&name), length) == 0) return 0;
    if (errno != ECONNREFUSED) return errno;
  }
  return ECONNREFUSED;
}

}  // namespace railyard::cm
