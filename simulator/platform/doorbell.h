// Sleep until another process rings: on a word of shared memory.
#pragma once

#include <atomic>
#include <cstdint>

namespace railyard::platform {

// Returns when `bell` no longer holds `seen`, or after about `timeout_ns` (-1: never), or for no
// reason. A cancellation point nowhere.
void wait_for_bell(const std::atomic<uint32_t>& bell, uint32_t seen, int64_t timeout_ns);

// Changes the word and wakes who waits on it.
void ring_bell(std::atomic<uint32_t>& bell);

// Lets others run for about `ns`.
void pause_thread(int64_t ns);

}  // namespace railyard::platform
