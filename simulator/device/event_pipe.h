// A queue of small events behind a real descriptor: readable exactly while an event is pending, so
// that programs can use it with poll, epoll and O_NONBLOCK.
#pragma once

#include <cstddef>

namespace railyard::sim {

class EventPipe {
 public:
  // 0 or an errno.
  int open();
  ~EventPipe();

  int descriptor() const { return ends_[0]; }

  // Never blocks. False when the pipe is full (thousands of events that nobody reads).
  bool put(const void* event, size_t bytes) const;

  // Blocks unless the program made the descriptor non-blocking (then -1, EAGAIN); a signal's
  // handler ends it (-1, EINTR). A cancellation point.
  int get(void* event, size_t bytes) const;
  // Whether get() would block.
  bool empty() const;

 private:
  int ends_[2] = {-1, -1};
};

}  // namespace railyard::sim
