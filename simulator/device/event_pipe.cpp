#include "device/event_pipe.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace railyard::sim {

int EventPipe::open() {
  if (pipe(ends_) != 0) return errno;
  for (int end : ends_) fcntl(end, F_SETFD, FD_CLOEXEC);
  fcntl(ends_[1], F_SETFL, O_NONBLOCK);
  return 0;
}

EventPipe::~EventPipe() {
  for (int end : ends_) {
    if (end >= 0) close(end);
  }
}

// Writes and reads of so few bytes are whole or not at all (PIPE_BUF).
bool EventPipe::put(const void* event, size_t bytes) const {
  return write(ends_[1], event, bytes) == static_cast<ssize_t>(bytes);
}

// A signal ends it with EINTR, as it ends rdma-core's: programs with an alarm rely on that.
int EventPipe::get(void* event, size_t bytes) const {
  ssize_t got = read(ends_[0], event, bytes);
  if (got == static_cast<ssize_t>(bytes)) return 0;
  if (got >= 0) errno = EIO;
  return -1;
}

bool EventPipe::empty() const {
  pollfd ready{ends_[0], POLLIN, 0};
  return ::poll(&ready, 1, 0) != 1;
}

}  // namespace railyard::sim
