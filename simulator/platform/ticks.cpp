#include "platform/ticks.h"

#include <time.h>

namespace railyard::platform {
namespace {

struct Sample {
  uint64_t ticks;
  int64_t ns;
};

// The pair with the least delay between its two readings out of a few.
Sample sample() {
  Sample best{};
  uint64_t best_width = UINT64_MAX;
  for (int attempt = 0; attempt < 16; ++attempt) {
    timespec now;
    uint64_t before = ticks();
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t after = ticks();
    if (after - before < best_width) {
      best_width = after - before;
      best = {before + (after - before) / 2, now.tv_sec * 1'000'000'000LL + now.tv_nsec};
    }
  }
  return best;
}

}  // namespace

double measure_ticks_per_second() {
  Sample first = sample();
  Sample last = first;
  while (last.ns - first.ns < 2'000'000) last = sample();
  return static_cast<double>(last.ticks - first.ticks) * 1e9 /
         static_cast<double>(last.ns - first.ns);
}

}  // namespace railyard::platform
