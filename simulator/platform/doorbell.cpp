#include "platform/doorbell.h"

#include <time.h>

#include <algorithm>

#ifdef RAILYARD_LINUX
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace railyard::platform {

void pause_thread(int64_t ns) {
  timespec time{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&time, nullptr);
}

#ifdef RAILYARD_LINUX

void wait_for_bell(const std::atomic<uint32_t>& bell, uint32_t seen, int64_t timeout_ns) {
  timespec time{static_cast<time_t>(timeout_ns / 1'000'000'000),
                static_cast<long>(timeout_ns % 1'000'000'000)};
  syscall(SYS_futex, reinterpret_cast<const uint32_t*>(&bell), FUTEX_WAIT, seen,
          timeout_ns < 0 ? nullptr : &time, nullptr, 0);
}

void ring_bell(std::atomic<uint32_t>& bell) {
  bell.fetch_add(1, std::memory_order_release);
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&bell), FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

#else

// No portable wait on a shared word: look at it with growing pauses, at most a millisecond.
void wait_for_bell(const std::atomic<uint32_t>& bell, uint32_t seen, int64_t timeout_ns) {
  int64_t pause_ns = 20'000;
  while (bell.load(std::memory_order_acquire) == seen && timeout_ns != 0) {
    if (timeout_ns > 0) pause_ns = std::min(pause_ns, timeout_ns);
    pause_thread(pause_ns);
    if (timeout_ns > 0) timeout_ns -= pause_ns;
    pause_ns = std::min<int64_t>(pause_ns * 2, 1'000'000);
  }
}

void ring_bell(std::atomic<uint32_t>& bell) { bell.fetch_add(1, std::memory_order_release); }

#endif

}  // namespace railyard::platform
