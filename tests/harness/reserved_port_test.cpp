#ifdef RAILYARD_LINUX  // elsewhere a port cannot be held
#include "cluster/reserved_port.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "cluster/ip_address.h"

namespace railyard::harness {
namespace {

// The errno of listening at a port of 127.0.0.1; 0: it can be done.
int listen_at(int port, int reuse) {
  IpAddress address("127.0.0.1", port);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  bool listens = bind(listener, address.get(), address.size()) == 0 && listen(listener, 1) == 0;
  int error = listens ? 0 : errno;
  close(listener);
  return error;
}

TEST(ReservedPort, IsHeldForWhoAsksForItByNumber) {
  ReservedPort port(true);
  EXPECT_EQ(listen_at(port.number(), 0), EADDRINUSE);
  EXPECT_EQ(listen_at(port.number(), 1), 0);
}

TEST(ReservedPort, IsReleasedForProgramsThatDoNotShare) {
  ReservedPort port(false);
  EXPECT_EQ(listen_at(port.number(), 0), 0);
}

}  // namespace
}  // namespace railyard::harness

#endif
