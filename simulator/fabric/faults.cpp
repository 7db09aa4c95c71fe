// Faults: arming them, and what they say of themselves.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "fabric/impl.h"
#include "fabric/names.h"
#include "fabric/verb.h"

namespace railyard::fabric {

namespace {

// Fills a free record by `fill` and arms it.
template <typename Fill>
int arm_one(const Segment& segment, uint32_t gates, Fill fill) {
  for (uint32_t i = 0; i < kMaxFaults; ++i) {
    Fault& record = segment.fault(i);
    if (record.armed.load() != 0 || record.fired.load() != 0) continue;
    fill(record);
    record.seen.store(0);
    record.released_ticks.store(0);
    record.first_ticks.store(0);
    record.armed.store(1, std::memory_order_release);
    segment.header().gate.fetch_or(gates);
    return static_cast<int>(i);
  }
  throw Error(fmt::format("more than {} faults", kMaxFaults));
}

std::string describe_message(const Segment& segment, const Fault& fault) {
  constexpr const char* kDone[] = {"", "", "", "delayed", "", "dropped", "corrupted", "duplicated", "held"};
  return fmt::format("{} of queue pair {} {} on cable {}",
                     fault.fired.load() == 1 ? "a message" : fmt::format("{} messages, the latest", fault.fired.load()),
                     fault.queue_pair.load(), kDone[static_cast<uint32_t>(fault.action)],
                     segment.cable(static_cast<uint32_t>(fault.cable)).name);
}

std::string describe_fired(const Segment& segment, const Fault& fault) {
  if (fault.kind == FaultKind::message) return describe_message(segment, fault);
  const char* verb = verb_name(static_cast<Verb>(fault.verb));
  int32_t process = fault.process.load();
  std::string where =
      process < 0 ? ""
                  : fmt::format(" of pid {}", segment.process(static_cast<uint32_t>(process)).pid);
  std::string pair =
      fault.queue_pair.load() == 0 ? "" : fmt::format(" on queue pair {}", fault.queue_pair.load());
  switch (fault.action) {
    case FaultAction::fail:
      return fmt::format("{}{}{} returned errno {}", verb, where, pair, fault.error_number);
    case FaultAction::block:
      return fmt::format("{}{}{} was blocked", verb, where, pair);
    case FaultAction::block_until_arrival:
      return fmt::format("{}{}{} was held until a message had arrived", verb, where, pair);
    case FaultAction::delay:
      return fmt::format("{}{}{} was delayed by {} ns", verb, where, pair, fault.delay_ns);
    case FaultAction::alter:
      return fmt::format("a completion{}{} said {}", where, pair,
                         completion_status_name(static_cast<uint32_t>(fault.error_number)));
    default: break;
  }
  return "";
}

}  // namespace

int Fabric::arm(const VerbFault& fault) {
  Verb verb = verb_by_name(fault.verb);
  if (verb == Verb::none) throw Error(fmt::format("there is no verb '{}'", fault.verb));
  if (fault.node < -1 || fault.node >= node_count()) {
    throw Error(fmt::format("there is no node {}", fault.node));
  }
  if (fault.nth == 0 || fault.times == 0) throw Error("calls are counted from 1");
  if (fault.action == VerbFault::Action::alter && verb != Verb::poll_cq) {
    throw Error("only completions, of ibv_poll_cq, can be altered");
  }
  if (fault.action == VerbFault::Action::block_until_arrival && verb != Verb::post_recv) {
    throw Error("only ibv_post_recv can wait for an arrival");
  }
  std::lock_guard lock(impl_->mutex);
  return arm_one(impl_->segment, kGateFaults, [&](Fault& record) {
    record.kind = FaultKind::verb;
    record.verb = static_cast<uint32_t>(verb);
    record.node = fault.node;
    record.nth = fault.nth;
    record.times = fault.times;
    record.from_now = fault.from_now;
    record.action = static_cast<FaultAction>(fault.action);
    record.error_number = fault.error_number;
    record.delay_ns = fault.delay_ns;
  });
}

int Fabric::arm(const MessageFault& fault) {
  impl_->cable(fault.cable);
  if (fault.from_end < -1 || fault.from_end > 1) throw Error("a cable has the ends 0 and 1");
  if (fault.nth == 0 || fault.times == 0) throw Error("messages are counted from 1");
  constexpr FaultAction kActions[] = {FaultAction::drop, FaultAction::delay, FaultAction::corrupt,
                                      FaultAction::duplicate, FaultAction::hold};
  std::lock_guard lock(impl_->mutex);
  return arm_one(impl_->segment, kGateFaults | kGateLinks, [&](Fault& record) {
    record.kind = FaultKind::message;
    record.cable = fault.cable;
    record.from_end = fault.from_end;
    record.nth = fault.nth;
    record.times = fault.times;
    record.action = kActions[static_cast<size_t>(fault.action)];
    record.delay_ns = fault.delay_ns;
  });
}

void Fabric::release(int fault) {
  if (fault < 0 || fault >= static_cast<int>(kMaxFaults)) throw Error("there is no such fault");
  impl_->segment.fault(static_cast<uint32_t>(fault)).released_ticks.store(impl_->segment.now_ticks());
  impl_->wake_everyone();
}

void Fabric::disarm(int fault) {
  if (fault < 0 || fault >= static_cast<int>(kMaxFaults)) throw Error("there is no such fault");
  impl_->segment.fault(static_cast<uint32_t>(fault)).armed.store(0, std::memory_order_release);
  impl_->wake_everyone();
}

std::vector<FaultView> view_faults(const Segment& segment) {
  std::vector<FaultView> views;
  for (uint32_t i = 0; i < kMaxFaults; ++i) {
    const Fault& fault = segment.fault(i);
    uint64_t fired = fault.fired.load(std::memory_order_acquire);
    if (fault.armed.load() == 0 && fired == 0) continue;
    views.push_back({static_cast<int>(i), fired, segment.to_ns(fault.first_ticks.load()),
                     fired ? describe_fired(segment, fault) : "", fault.queue_pair.load()});
  }
  return views;
}

namespace {

uint32_t chance(const char* what, double probability) {
  if (!(probability >= 0 && probability <= 1)) {
    throw Error(fmt::format("{} {}: a chance lies between 0 and 1", what, probability));
  }
  return static_cast<uint32_t>(std::min(probability * 4294967296.0, 4294967295.0));
}

}  // namespace

void Fabric::shape(int cable, int from_end, const LinkModel& model) {
  if (from_end < -1 || from_end > 1) throw Error("a cable has the ends 0 and 1");
  if (model.latency_ns < 0 || model.bandwidth_bytes_per_s < 0) {
    throw Error("latency and bandwidth are not negative");
  }
  const Segment& segment = impl_->segment;
  Cable& target = impl_->cable(cable);
  std::lock_guard lock(impl_->mutex);
  for (int end : {0, 1}) {
    if (from_end >= 0 && from_end != end) continue;
    Link& link = target.links[end];
    link.loss.store(chance("loss", model.loss));
    link.corruption.store(chance("corruption", model.corruption));
    link.duplication.store(chance("duplication", model.duplication));
    link.reordering.store(chance("reordering", model.reordering));
    link.latency_ticks.store(segment.ticks_in_ns(model.latency_ns));
    link.ticks_per_byte.store(model.bandwidth_bytes_per_s > 0
                                  ? segment.header().ticks_per_second / model.bandwidth_bytes_per_s
                                  : 0);
    link.seed.store(model.seed * 2 + static_cast<uint64_t>(end) + static_cast<uint64_t>(cable) * 7919);
    link.shaped.store(1, std::memory_order_release);
  }
  segment.header().gate.fetch_or(kGateLinks);
}

namespace {

Device& device_at(const Segment& segment, int device) {
  if (device < 0 || device >= static_cast<int>(segment.header().device_count)) {
    throw Error(fmt::format("there is no device {}", device));
  }
  return segment.device(static_cast<uint32_t>(device));
}

std::string text_of(const Gid& gid) {
  if (!gid.present) return "empty";
  std::string text;
  for (size_t i = 0; i < sizeof gid.raw; i += 2) {
    text += fmt::format("{}{:02x}{:02x}", i == 0 ? "" : ":", gid.raw[i], gid.raw[i + 1]);
  }
  return text;
}

}  // namespace

void Fabric::limit(int device, fabric::Resource resource, int most) {
  if (most < -1) throw Error("a limit is a number, or -1 for the profile's");
  device_at(impl_->segment, device).limits[static_cast<size_t>(resource)].store(most + 1);
}

CableChange Fabric::set_gid(int port, int index, const std::optional<std::array<uint8_t, 16>>& gid) {
  const Segment& segment = impl_->segment;
  std::string name = port_name(port);
  if (port < 0 || index < 0 || index >= static_cast<int>(kGidsPerPort)) {
    throw Error(fmt::format("{} has the GID rows 0 to {}", name, kGidsPerPort - 1));
  }
  std::lock_guard lock(impl_->mutex);
  Gid& row = segment.port(static_cast<uint32_t>(port)).gids[index];
  std::string before = text_of(row);
  std::array<uint8_t, 16> raw = gid.value_or(std::array<uint8_t, 16>{});
  std::copy(raw.begin(), raw.end(), row.raw);
  row.present = gid.has_value();
  std::string after = text_of(row);
  return {segment.to_ns(segment.now_ticks()), before != after,
          fmt::format("GID {} of {}: {} (was {})", index, name, after, before)};
}

void Fabric::fail_device(int device) {
  std::lock_guard lock(impl_->mutex);
  uint64_t works = 0;
  device_at(impl_->segment, device)
      .failed_ticks.compare_exchange_strong(works, impl_->segment.now_ticks());
  impl_->segment.header().topology_epoch.fetch_add(1, std::memory_order_release);
  impl_->wake_everyone();
}

void Fabric::watch_memory(bool on) {
  auto& gate = impl_->segment.header().gate;
  on ? gate.fetch_or(kGateMemory) : gate.fetch_and(~kGateMemory);
}

}  // namespace railyard::fabric
