#include "cluster/reserved_port.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "cluster/ip_address.h"

namespace railyard::harness {

ReservedPort::ReservedPort(bool hold, const std::string& where, int number) {
  IpAddress address(where, number);
  socket_ = socket(address.family(), SOCK_STREAM, 0);
  if (socket_ < 0) throw std::system_error(errno, std::generic_category(), "cannot make a socket");
  fcntl(socket_, F_SETFD, FD_CLOEXEC);
  int yes = 1;
  setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(socket_, address.get(), address.size()) != 0) {
    std::system_error error(errno, std::generic_category(), "cannot get a TCP port on " + where);
    close(socket_);
    throw error;
  }
  number_ = IpAddress::of(socket_).port();
#ifndef RAILYARD_LINUX
  hold = false;  // elsewhere a second bind is refused while the first one stands
#endif
  if (!hold) {
    close(socket_);
    socket_ = -1;
  }
}

ReservedPort::~ReservedPort() {
  if (socket_ >= 0) close(socket_);
}

}  // namespace railyard::harness
