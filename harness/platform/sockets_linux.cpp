// sockets.h from /proc.
#include "platform/sockets.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string>

#include "platform/proc_files.h"

namespace railyard::harness {

namespace {

using Inodes = std::set<std::string>;

void add_sockets(pid_t pid, Inodes& sockets) {
  constexpr char kSocket[] = "socket:[";
  constexpr size_t kBefore = sizeof kSocket - 1;
  std::string descriptors = "/proc/" + std::to_string(pid) + "/fd";
  for (const std::string& name : proc::entries(descriptors)) {
    std::string target = proc::target(descriptors + "/" + name);
    if (target.rfind(kSocket, 0) == 0)
      sockets.insert(target.substr(kBefore, target.size() - kBefore - 1));
  }
}

struct TcpSocket {
  std::string local, remote;  // address:port as the kernel writes them
  std::string state;
};
constexpr char kEstablished[] = "01", kConnecting[] = "02", kListening[] = "0A";

std::vector<TcpSocket> tcp_sockets(const Inodes& inodes) {
  std::vector<TcpSocket> found;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::istringstream lines(proc::slurp(table));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
          timeout >> inode;
      if (inodes.count(inode)) found.push_back({local, remote, state});
    }
  }
  return found;
}

uint16_t port_in(const std::string& address, int base) {
  size_t before = address.rfind(base == 16 ? ':' : '/');
  return static_cast<uint16_t>(std::strtoul(address.c_str() + before + 1, nullptr, base));
}

}  // namespace

std::optional<std::vector<uint16_t>> listening_ports(pid_t pid) {
  Inodes sockets;
  add_sockets(pid, sockets);
  std::vector<uint16_t> ports;
  for (const TcpSocket& socket : tcp_sockets(sockets)) {
    if (socket.state == kListening) ports.push_back(port_in(socket.local, 16));
  }
  // The connection manager's are sockets with a name:
  // "@railyard-cm/<fabric>/<space>/<host>/<port>".
  constexpr char kAccepting[] = "00010000";
  std::istringstream lines(proc::slurp("/proc/net/unix"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string slot, references, protocol, flags, type, state, inode, name;
    words >> slot >> references >> protocol >> flags >> type >> state >> inode >> name;
    if (flags != kAccepting || name.rfind("@railyard-cm/", 0) != 0 || !sockets.count(inode))
      continue;
    ports.push_back(port_in(name, 10));
  }
  return ports;
}

bool among_themselves(const std::vector<pid_t>& processes) {
  Inodes inodes;
  for (pid_t pid : processes) add_sockets(pid, inodes);
  std::vector<TcpSocket> sockets = tcp_sockets(inodes);
  std::set<std::string> ends;
  for (const TcpSocket& socket : sockets) ends.insert(socket.local + " " + socket.remote);
  return std::all_of(sockets.begin(), sockets.end(), [&](const TcpSocket& socket) {
    if (socket.state == kConnecting) return false;
    return socket.state != kEstablished || ends.count(socket.remote + " " + socket.local) > 0;
  });
}

}  // namespace railyard::harness
