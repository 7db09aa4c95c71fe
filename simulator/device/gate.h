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
int pass_gate_slowly(const Attachment& attachment, Verb verb, uint32_t queue_pair);

inline bool gate_is_open(const Attachment& attachment) {
  uint32_t gate = attachment.segment().header().gate.load(std::memory_order_relaxed);
  return (gate & ~layout::kGateTrace) == 0;
}

// 0, or the errno that the call has to fail with. May block for as long as a fault says.
inline int pass_gate(const Attachment& attachment, Verb verb, uint32_t queue_pair = 0) {
  if (gate_is_open(attachment)) [[likely]]
    return 0;
  return pass_gate_slowly(attachment, verb, queue_pair);
}

void alter_completion(const Attachment& attachment, ibv_wc& completion);

// Changes the status of completions that the program is about to read, if a fault says so.
inline void alter_completions(const Attachment& attachment, ibv_wc* first, int count) {
  uint32_t gate = attachment.segment().header().gate.load(std::memory_order_relaxed);
  if (!(gate & layout::kGateFaults)) [[likely]]
    return;
  for (int i = 0; i < count; ++i) alter_completion(attachment, first[i]);
}

}  // namespace railyard::sim
