#include "device/gate.h"

#include "platform/doorbell.h"

namespace railyard::sim {

namespace {

constexpr int64_t kLookNs = 50'000;

void act(const Attachment& attachment, layout::Fault& fault, uint32_t queue_pair,
         const Arrived& arrived) {
  fault.process.store(static_cast<int32_t>(attachment.process()));
  fault.queue_pair.store(queue_pair);
  uint64_t never = 0;
  fault.first_ticks.compare_exchange_strong(never, attachment.segment().now_ticks());
  auto armed = [&] { return fault.armed.load(std::memory_order_acquire) != 0; };
  switch (fault.action) {
    case layout::FaultAction::fail:
    case layout::FaultAction::alter:
      fault.fired.fetch_add(1);
      break;
    case layout::FaultAction::delay:
      fault.fired.fetch_add(1);
      platform::pause_thread(fault.delay_ns);
      break;
    case layout::FaultAction::block: {
      fault.fired.fetch_add(1);
      Blocked blocked(attachment, layout::WaitReason::fault, layout::kNowhere);
      while (armed()) platform::pause_thread(kLookNs);
      break;
    }
    case layout::FaultAction::block_until_arrival: {
      Blocked blocked(attachment, layout::WaitReason::arrival, layout::kNowhere);
      while (armed() && !arrived()) platform::pause_thread(kLookNs);
      // It fired when the call was held and the message came: not when it was called off.
      if (armed()) fault.fired.fetch_add(1);
      break;
    }
    default:
      break;  // messages' faults
  }
}

// Which call this is for a fault, given the process's count.
uint64_t number_for(layout::Fault& fault, uint64_t call) {
  return fault.from_now ? fault.seen.fetch_add(1) + 1 : call;
}

}  // namespace

int pass_gate_slowly(const Attachment& attachment, Verb verb, uint32_t queue_pair,
                     const Arrived& arrived) {
  const Segment& segment = attachment.segment();
  if (!(segment.header().gate.load(std::memory_order_relaxed) & layout::kGateFaults)) return 0;
  uint64_t call = attachment.record().calls[static_cast<uint32_t>(verb)].fetch_add(1) + 1;
  for (uint32_t i = 0; i < layout::kMaxFaults; ++i) {
    layout::Fault& fault = segment.fault(i);
    if (fault.armed.load(std::memory_order_acquire) == 0) continue;
    if (fault.kind != layout::FaultKind::verb || fault.action == layout::FaultAction::alter)
      continue;
    if (fault.verb != static_cast<uint32_t>(verb)) continue;
    if (fault.node >= 0 && static_cast<uint32_t>(fault.node) != attachment.record().node) continue;
    uint64_t number = number_for(fault, call);
    if (number < fault.nth || number - fault.nth >= fault.times) continue;
    act(attachment, fault, queue_pair, arrived);
    if (fault.action == layout::FaultAction::fail) return fault.error_number;
  }
  return 0;
}

int pass_gate_slowly(const Attachment& attachment, Verb verb, uint32_t queue_pair) {
  return pass_gate_slowly(attachment, verb, queue_pair, [] { return false; });
}

void alter_completion(const Attachment& attachment, ibv_wc& completion) {
  const Segment& segment = attachment.segment();
  uint64_t number = attachment.record().completions.fetch_add(1) + 1;
  for (uint32_t i = 0; i < layout::kMaxFaults; ++i) {
    layout::Fault& fault = segment.fault(i);
    if (fault.armed.load(std::memory_order_acquire) == 0) continue;
    if (fault.kind != layout::FaultKind::verb || fault.action != layout::FaultAction::alter)
      continue;
    if (fault.node >= 0 && static_cast<uint32_t>(fault.node) != attachment.record().node) continue;
    uint64_t own = number_for(fault, number);
    if (own < fault.nth || own - fault.nth >= fault.times) continue;
    act(attachment, fault, completion.qp_num, {});
    completion.status = static_cast<ibv_wc_status>(fault.error_number);
    layout::QueuePair& pair = segment.queue_pair(completion.qp_num);
    pair.errors.fetch_add(1);
    pair.last_error.store(static_cast<uint32_t>(fault.error_number));
  }
}

}  // namespace railyard::sim
