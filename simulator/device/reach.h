// One-sided operations that their initiator carries out by itself, where the system lets it copy
// from and to its peer's memory: a WRITE or a READ that could be settled at once, if only its
// target looked.
//
// An initiator says that it is reaching (QueuePair::reaching), then looks whether it may, copies,
// and says that it is done. A target that takes something back that was allowed (a region, a
// window, a right, its queue pair) says so and then waits while anybody who may have seen it is
// reaching. What an initiator may not do it leaves to its target to judge.
#pragma once

#include "fabric/layout.h"

namespace railyard::sim {

// Whether this process can copy from and to the memory of that one, and it is who its record says.
bool proves_readable(const fabric::layout::Process& process);

}  // namespace railyard::sim
