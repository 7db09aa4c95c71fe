#include "railyard-bench/cores.h"

#ifdef RAILYARD_LINUX
#include <sched.h>
#endif

namespace railyard::bench {

#ifdef RAILYARD_LINUX

void keep_to_core(int rank) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  int wanted = rank % CPU_COUNT(&allowed), nth = 0;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed) || nth++ != wanted) continue;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(core, &own);
    sched_setaffinity(0, sizeof(own), &own);
    return;
  }
}

#else

void keep_to_core(int) {}

#endif

}  // namespace railyard::bench
