#include "fabric/inspect.h"

#include <fmt/format.h>
#include <infiniband/verbs.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "fabric/names.h"
#include "fabric/topology.h"
#include "fabric/verb.h"

namespace railyard::fabric {

using namespace layout;

namespace {

std::string describe(WaitReason reason, const Segment& segment, int32_t device) {
  switch (reason) {
    case WaitReason::none: return "";
    case WaitReason::context_limit:
      return fmt::format("a context of {}, all of which are open",
                         device < 0 ? std::string("a device")
                                    : name_of_port(segment, static_cast<int32_t>(
                                          segment.device(static_cast<uint32_t>(device)).port)));
    case WaitReason::completion_event: return "a completion event";
    case WaitReason::async_event: return "an asynchronous event";
    case WaitReason::fault: return "nothing: a fault blocks it";
    case WaitReason::arrival: return "the arrival of a message, as a fault says";
  }
  return "";
}

ProcessView view(const Segment& segment, uint32_t index) {
  const Process& record = segment.process(index);
  ProcessView out;
  out.index = static_cast<int>(index);
  out.pid = record.pid;
  out.node = static_cast<int>(record.node);
  out.alive = segment.alive(index);
  auto verb = static_cast<Verb>(record.verb.load(std::memory_order_relaxed));
  out.verb = verb_name(verb);
  out.verb_since_ns = segment.to_ns(record.verb_ticks.load(std::memory_order_relaxed));
  out.progress = record.progress.load(std::memory_order_relaxed);
  out.empty_polls = record.empty_polls.load(std::memory_order_relaxed);
  out.progress_at_ns = segment.to_ns(record.progress_ticks.load(std::memory_order_relaxed));
  if (!out.alive) {
    out.activity = Activity::exited;
  } else if (record.blocked.load(std::memory_order_acquire) != 0) {
    out.activity = Activity::blocked;
    out.blocked_device = record.blocked_device.load(std::memory_order_relaxed);
    out.waits_for = describe(static_cast<WaitReason>(record.wait_reason.load(std::memory_order_relaxed)),
                             segment, out.blocked_device);
  }
  return out;
}

CableView view_cable(const Segment& segment, uint32_t index) {
  const Cable& record = segment.cable(index);
  CableView out;
  out.name = record.name;
  out.plugged = record.plugged.load() != 0;
  out.changed_at_ns = segment.to_ns(record.changed_ticks.load());
  for (int end : {0, 1}) {
    out.ports[end] = record.ends[end].port.load();
    out.switches[end] = record.ends[end].switch_index.load();
    out.original_ports[end] = record.original_ports[end];
    const Link& link = record.links[end];
    out.links[end] = {link.messages.load(), link.lost.load(), link.corrupted.load(),
                      link.duplicated.load(), link.reordered.load()};
  }
  return out;
}

// The queue pair that `own` talks to and that talks back, or kNowhere.
int32_t peer_of(const Segment& segment, uint32_t own_number) {
  const QueuePair& own = segment.queue_pair(own_number);
  uint32_t number = own.peer_number.load();
  int32_t port = own.peer_port.load();
  if (own.connection.load() == 0 || number >= kMaxQueuePairs || port < 0) return kNowhere;
  const QueuePair& peer = segment.queue_pair(number);
  bool mutual = peer.owner.load() != 0 && peer.connection.load() != 0 &&
                static_cast<int32_t>(peer.port) == port && peer.peer_number.load() == own_number &&
                peer.peer_port.load() == static_cast<int32_t>(own.port);
  return mutual ? static_cast<int32_t>(number) : kNowhere;
}

bool needs_receive(uint8_t opcode) {
  return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM ||
         opcode == IBV_WR_RDMA_WRITE_WITH_IMM || opcode == IBV_WR_SEND_WITH_INV;
}

// Whether the oldest message of `own` that is not settled will be without anything new happening:
// its receiver has not looked yet, or a retry timer runs.
bool in_flight(const Segment& segment, const QueuePair& own, const QueuePair* peer, const QueuePairView& view,
               const Slot& slot) {
  uint64_t arrival_ticks = slot.arrival_ticks.load(std::memory_order_relaxed);
  if (arrival_ticks & kHeld) {
    const Fault& fault = segment.fault(static_cast<uint32_t>(arrival_ticks & ~kHeld) % kMaxFaults);
    if (fault.released_ticks.load() == 0) return false;
  } else if (arrival_ticks > segment.now_ticks()) {
    return true;
  }
  uint8_t opcode = slot.opcode;
  uint32_t retries = own.retries.load();
  bool reliable = own.type == IBV_QPT_RC;
  if (!peer || !view.reachable) {
    uint32_t timeout = retries >> 16 & 0xff;
    return reliable && timeout != 0;
  }
  if (peer->refused_at.load() != 0) return true;
  if (!needs_receive(opcode)) return true;
  if (peer->receives_posted.load() > peer->receives_filled.load()) return true;
  return reliable && (retries & 0xff) != 7;
}

PortView view_port(const Segment& segment, uint32_t index) {
  const Port& record = segment.port(index);
  auto port = static_cast<int32_t>(index);
  PortView out;
  out.device = static_cast<int>(record.device);
  out.cable = cable_of(segment, port);
  out.active = port_active(segment, port);
  out.messages_out = record.messages_out.load();
  out.messages_in = record.messages_in.load();
  out.bytes_out = record.bytes_out.load();
  out.bytes_in = record.bytes_in.load();
  out.messages_lost = record.lost.load();
  out.completions_in_error = record.errors.load();
  if (out.completions_in_error != 0) out.last_error = completion_status_name(record.last_error.load());
  out.changed_in_flight = record.changed_in_flight.load();
  out.unread_receives = record.unread.load();
  for (uint32_t row = 0; row < kGidsPerPort; ++row) {
    if (record.gids[row].present) out.gid_rows |= 1u << row;
  }
  return out;
}

// A port's traffic is that of the queue pairs which are gone and of those that live.
void count_traffic(const QueuePair& pair, PortView& port) {
  port.messages_lost += pair.lost.load();
  port.changed_in_flight += pair.changed_in_flight.load();
  if (uint32_t errors = pair.errors.load(); errors != 0) {
    port.completions_in_error += errors;
    port.last_error = completion_status_name(pair.last_error.load());
  }

  port.messages_out += pair.posted.load();
  port.bytes_out += pair.bytes_out.load();
  port.messages_in += pair.messages_in.load() + pair.reached_in.load();
  port.bytes_in += pair.bytes_in.load();
}

QueuePairView view_queue_pair(const Segment& segment, uint32_t number, int& flying) {
  const QueuePair& record = segment.queue_pair(number);
  QueuePairView out;
  out.number = number;
  out.process = static_cast<int>(record.owner.load()) - 1;
  out.context = static_cast<int>(record.context);
  out.device = static_cast<int>(record.device);
  out.port = static_cast<int>(record.port);
  out.type = queue_pair_type_name(record.type);
  out.state = queue_pair_state_name(record.state.load());
  out.send_psn = record.send_psn.load();
  out.peer_number = record.peer_number.load();
  out.peer_port = record.peer_port.load();
  int32_t peer_number = peer_of(segment, number);
  out.reachable = reaches(segment, static_cast<int32_t>(record.port), out.peer_port);
  const QueuePair* peer =
      peer_number < 0 ? nullptr : &segment.queue_pair(static_cast<uint32_t>(peer_number));
  out.peer = peer_number;  // turned into an index of the snapshot later
  out.sends_posted = record.posted.load();
  out.sends_completed = record.completed.load();
  out.sends_lost = record.lost.load();
  uint64_t connection = record.connection.load();
  uint64_t settled =
      peer && connection != 0 && peer->adopted.load() == connection ? peer->settled.load() : 0;
  uint64_t on_wire = connection == 0 ? 0 : record.on_wire.load();
  settled = std::min(settled, on_wire);
  out.sends_settled = out.sends_posted - std::min(out.sends_posted, on_wire - settled);
  out.receives_posted = record.receives_posted.load();
  out.receives_filled = record.receives_filled.load();
  out.dropped_no_receive = record.dropped.load();
  out.dropped_at_ns = segment.to_ns(record.dropped_ticks.load());
  out.receive_posted_after_drop_ns = segment.to_ns(record.receive_after_drop_ticks.load());
  out.receiver_not_ready = record.not_ready.load();
  out.frame_mismatches = record.frame_mismatches.load();
  out.changed_in_flight = record.changed_in_flight.load();
  out.reached_in = record.reached_in.load();
  out.copied_plainly = record.copied_plainly.load();
  out.completions_in_error = record.errors.load();
  if (out.completions_in_error != 0) {
    out.last_error = completion_status_name(record.last_error.load());
  }
  if (settled < on_wire && record.ring != 0 && record.state.load() == IBV_QPS_RTS) {
    const Slot& slot = *reinterpret_cast<const Slot*>(
        segment.bytes_at(record.ring + (settled & record.ring_mask) * record.slot_bytes));
    out.waiting_opcode = opcode_name(slot.opcode);
    out.waiting_bytes = slot.bytes;
    if (in_flight(segment, record, peer, out, slot)) ++flying;
  }
  return out;
}

}  // namespace

std::string name_of_port(const Segment& segment, int32_t port) {
  if (port < 0) return "nothing";
  const Device& device = segment.device(segment.port(static_cast<uint32_t>(port)).device);
  return fmt::format("{}/{}", segment.node(device.node).name, device.name);
}

Snapshot Inspector::look(const Segment& segment) {
  const SegmentHeader& header = segment.header();
  Snapshot out;
  out.now_ns = segment.to_ns(segment.now_ticks());
  out.activity = header.topology_epoch.load();

  seen_.resize(header.processes_used.load());
  for (uint32_t i = 0; i < seen_.size(); ++i) {
    uint32_t state = segment.process(i).state.load(std::memory_order_acquire);
    ProcessView process;
    process.index = static_cast<int>(i);
    if (state_of(state) >= kLive) process = view(segment, i);
    Seen now{process.progress, process.empty_polls};
    if (process.activity == Activity::elsewhere && now.empty_polls > seen_[i].empty_polls) {
      process.activity = Activity::polling;
    }
    seen_[i] = now;
    out.activity += process.progress + (process.alive ? 1 : 0);
    out.processes.push_back(std::move(process));
  }

  std::vector<int> context_index(header.contexts_used.load(), -1);
  for (uint32_t i = 0; i < context_index.size(); ++i) {
    const Context& record = segment.context(i);
    uint32_t owner = record.owner.load(std::memory_order_acquire);
    uint32_t device = record.device.load(std::memory_order_acquire);
    if (owner == 0 || device == 0) continue;
    context_index[i] = static_cast<int>(out.contexts.size());
    out.contexts.push_back({static_cast<int>(owner) - 1, static_cast<int>(device) - 1,
                            segment.to_ns(record.opened_ticks), record.protection_domains.load(),
                            record.completion_queues.load(), record.queue_pairs.load(),
                            record.memory_regions.load()});
  }
  for (uint32_t i = 0; i < header.device_count; ++i) {
    const Device& record = segment.device(i);
    out.devices.push_back({record.name, static_cast<int>(record.node), static_cast<int>(record.port),
                           limit_of(segment, i, layout::Resource::contexts).most, 0, record.failed_ticks.load() != 0, {}});
    for (size_t each = 0; each < kResources; ++each) {
      out.devices.back().refusals[each] = record.refusals[each].load();
    }
  }
  for (const ProcessView& process : out.processes) {
    if (process.activity == Activity::blocked && process.blocked_device >= 0) {
      ++out.devices[static_cast<size_t>(process.blocked_device)].waiters;
    }
  }
  for (uint32_t i = 0; i < header.port_count; ++i) out.ports.push_back(view_port(segment, i));
  for (uint32_t i = 0; i < header.cable_count; ++i) out.cables.push_back(view_cable(segment, i));

  auto index_of = [&](uint32_t context) {
    return context < context_index.size() ? context_index[context] : -1;
  };
  std::vector<int> pair_index(header.queue_pairs_used.load(), -1);
  for (uint32_t i = 0; i < pair_index.size(); ++i) {
    if (segment.queue_pair(i).owner.load(std::memory_order_acquire) == 0) continue;
    pair_index[i] = static_cast<int>(out.queue_pairs.size());
    out.queue_pairs.push_back(view_queue_pair(segment, i, out.in_flight));
    out.queue_pairs.back().context = index_of(segment.queue_pair(i).context);
    count_traffic(segment.queue_pair(i), out.ports[segment.queue_pair(i).port]);
  }
  for (QueuePairView& pair : out.queue_pairs) {
    pair.peer = pair.peer >= 0 && static_cast<size_t>(pair.peer) < pair_index.size()
                    ? pair_index[static_cast<size_t>(pair.peer)]
                    : -1;
  }
  for (uint32_t i = 0; i < header.completion_queues_used.load(); ++i) {
    const CompletionQueue& record = segment.completion_queue(i);
    uint32_t owner = record.owner.load(std::memory_order_acquire);
    if (owner == 0) continue;
    out.completion_queues.push_back({static_cast<int>(owner) - 1, index_of(record.context),
                                     record.written.load(), record.read.load(),
                                     record.armed.load() != 0});
  }
  return out;
}

}  // namespace railyard::fabric
