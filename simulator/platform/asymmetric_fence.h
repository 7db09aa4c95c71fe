// Fences between threads of one process of which one side pays for both: where two threads each
// write a word and then read the other's, each needs a fence in between so that one of them at
// least sees the other's write. With these, whoever passes all the time needs none that the
// hardware would notice.
#pragma once

#include <atomic>

namespace railyard::platform {

// Whether heavy_fence() does what it says here; asked once, by any thread.
bool has_asymmetric_fences();

// What this thread does before it comes before what it does after it for whoever calls
// heavy_fence().
inline void light_fence() { std::atomic_signal_fence(std::memory_order_seq_cst); }

// A full fence of this thread and, meanwhile, of every thread of the process that runs: a system
// call that interrupts them, some microseconds. Only where there are asymmetric fences.
void heavy_fence();

}  // namespace railyard::platform
