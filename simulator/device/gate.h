// The one place that every verb passes: where a fault program fails, delays or blocks it, and where
// a controlled run will order it.
#pragma once

#include <infiniband/verbs.h>

#include <functional>

#include "device/attachment.h"

namespace railyard::sim {

// Whether a message has arrived that no receive waits for (asked by ibv_post_recv's gate).
using Arrived = std::function<bool()>;

int pass_gate_slowly(const Attachment& attachment, Verb verb, uint32_t queue_pair,
                     const Arrived& arrived);

// 0, or the errno that the call has to fail with. May block for as long as a fault says.
template <typename Question = Arrived>
int pass_gate(const Attachment& attachment, Verb verb, uint32_t queue_pair = 0,
              const Question& arrived = {}) {
  uint32_t gate = attachment.segment().header().gate.load(std::memory_order_relaxed);
  if ((gate & ~layout::kGateTrace) == 0) [[likely]]
    return 0;
  return pass_gate_slowly(attachment, verb, queue_pair, arrived);
}

// Changes the status of a completion that the program is about to read, if a fault says so.
void alter_completion(const Attachment& attachment, ibv_wc& completion);

}  // namespace railyard::sim
