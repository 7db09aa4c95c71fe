// Which thread this is, as quickly as can be told.
#pragma once

#include <pthread.h>

#include <cstdint>

namespace railyard::platform {

// Not 0, and different for all threads that live.
inline uintptr_t this_thread() {
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 11
  return reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
#else
  return reinterpret_cast<uintptr_t>(pthread_self());
#endif
}

}  // namespace railyard::platform
