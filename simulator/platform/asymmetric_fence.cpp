#include "platform/asymmetric_fence.h"

#ifdef RAILYARD_LINUX
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace railyard::platform {

#ifdef RAILYARD_LINUX

namespace {

long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

}  // namespace

bool has_asymmetric_fences() {
  // A process has to say once that it will (membarrier(2); since Linux 4.14).
  static const bool has = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
  return has;
}

void heavy_fence() {
  while (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0) {
    // A child of fork() that has only its parent's word for it.
    if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0) continue;
    perror("railyard: membarrier(2) has become forbidden");
    abort();  // without it two threads could be where one may be
  }
}

#else

bool has_asymmetric_fences() { return false; }

void heavy_fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

#endif

}  // namespace railyard::platform
