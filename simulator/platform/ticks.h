// The hardware's constant-rate counter: the cheapest time there is, the same on every core.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#else
#include <time.h>
#endif

namespace railyard::platform {

// x86-64: the time stamp counter (about 10 ns less than clock_gettime); arm64: the virtual counter,
// which is what macOS' mach_absolute_time reads; elsewhere: nanoseconds of CLOCK_MONOTONIC.
inline uint64_t ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  uint64_t value;
  asm volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
#else
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
#endif
}

// How many ticks a second has; measured once over about 2 ms (25 parts per million).
double measure_ticks_per_second();

// Tells the core that this is a spin loop.
inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Asks for the lines that these bytes lie in, to read them soon.
inline void will_read(const void* place, size_t bytes) {
  constexpr size_t kLine = 64;
  for (size_t at = 0; at < bytes; at += kLine)
    __builtin_prefetch(static_cast<const char*>(place) + at);
}

// Asks for the lines that these bytes lie in, the first of them on a line's edge, to write them
// soon: from another core they take a while.
inline void will_write(const void* place, size_t bytes) {
  constexpr size_t kLine = 64;
  for (size_t at = 0; at < bytes; at += kLine) {
    const char* line = static_cast<const char*>(place) + at;
#if defined(__x86_64__)
    // What compilers make of __builtin_prefetch asks for a copy to read, unless they are told that
    // the processor knows more; one that does not takes this for nothing.
    asm volatile("prefetchw (%0)" : : "r"(line));
#else
    __builtin_prefetch(line, 1);
#endif
  }
}

}  // namespace railyard::platform
