// Runs a workload on a group, checks every result and keeps the record.
#pragma once

#include "railyard/group.h"
#include "worker/progress.h"
#include "worker/result.h"
#include "worker/work.h"

namespace railyard::rank {

// Runs every operation in order. What has been done is in `result` also when the group throws
// railyard::Error. Wrong data ends an operation but not the workload: the other ranks, which may
// have got the right data, still count on this one.
void run(const worker::Work& work, Group& group, worker::Progress& progress,
         worker::Result& result);

}  // namespace railyard::rank
