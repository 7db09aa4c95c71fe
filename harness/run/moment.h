// What a rank does at one look, in one word.
#pragma once

#include "platform/process_state.h"
#include "railyard/fabric.h"
#include "railyard/worker.h"
#include "record/recorder.h"

namespace railyard::harness {

// `now` and `before` are its process at this look and at the one before, nullptr: in no fabric.
// `keeps_page`: it is a worker that writes its page.
RankMoment moment_of(const WorkerPage& page, bool alive, const ProcessState& state,
                     const fabric::ProcessView* now, const fabric::ProcessView* before,
                     bool keeps_page);

}  // namespace railyard::harness
