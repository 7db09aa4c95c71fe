#include <fmt/format.h>

#include <cstring>
#include <mutex>

#include "fabric/build.h"
#include "fabric/inspect.h"
#include "fabric/registry.h"
#include "fabric/segment.h"
#include "fabric/topology.h"
#include "fabric/verb.h"
#include "platform/doorbell.h"
#include "railyard/fabric.h"

namespace railyard::fabric {

using namespace layout;

struct Fabric::Impl {
  std::optional<Registration> registration;  // of the owner; gone after the mapping
  Segment segment;
  mutable std::mutex mutex;  // guards what follows, and changes of cables
  mutable Inspector inspector;

  Impl(std::optional<Registration> owner, Segment opened)
      : registration(std::move(owner)), segment(std::move(opened)) {}

  Cable& cable(int index) const {
    if (index < 0 || static_cast<uint32_t>(index) >= segment.header().cable_count) {
      throw Error(fmt::format("there is no cable {}", index));
    }
    return segment.cable(static_cast<uint32_t>(index));
  }

  // "c1: node0/rdma_en3 - node1/rdma_en4"
  std::string describe(const Cable& cable) const {
    auto end = [&](const Plug& plug) {
      int32_t switch_index = plug.switch_index.load();
      return switch_index >= 0
                 ? std::string(segment.switch_at(static_cast<uint32_t>(switch_index)).name)
                 : name_of_port(segment, plug.port.load());
    };
    return fmt::format("{}: {} - {}{}", cable.name, end(cable.ends[0]), end(cable.ends[1]),
                       cable.plugged.load() ? "" : ", unplugged");
  }

  void wake_everyone() const {
    for (uint32_t i = 0; i < segment.header().processes_used.load(); ++i) {
      if (segment.process(i).state.load() == kLive)
        platform::ring_bell(segment.process(i).doorbell);
    }
  }

  CableChange changed(std::initializer_list<Cable*> cables, std::string evidence) const {
    uint64_t now = segment.now_ticks();
    for (Cable* cable : cables) cable->changed_ticks.store(now);
    segment.header().topology_epoch.fetch_add(1, std::memory_order_release);
    wake_everyone();
    return {segment.to_ns(now), true, std::move(evidence)};
  }

  CableChange set_plugged(int index, bool plugged) const {
    std::lock_guard lock(mutex);
    Cable& target = cable(index);
    std::string before = describe(target);
    if (target.plugged.exchange(plugged) == static_cast<uint32_t>(plugged)) {
      return {segment.to_ns(segment.now_ticks()), false, before + " already was"};
    }
    return changed({&target}, fmt::format("{} (was {})", describe(target), before));
  }
};

Fabric::Fabric(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Fabric::Fabric(Fabric&&) noexcept = default;
Fabric& Fabric::operator=(Fabric&&) noexcept = default;
Fabric::~Fabric() = default;

Fabric Fabric::create(const ClusterSpec& spec) {
  sweep();
  auto registration = Registration::create();
  Segment segment = build(registration.segment_name(), spec);
  return Fabric(std::make_unique<Impl>(std::move(registration), std::move(segment)));
}

Fabric Fabric::attach(const std::string& name) {
  return Fabric(std::make_unique<Impl>(std::nullopt, Segment::open(name)));
}

const std::string& Fabric::name() const { return impl_->segment.name(); }

std::vector<std::pair<std::string, std::string>> Fabric::environment(int node) const {
  if (node < 0 || node >= node_count()) throw Error(fmt::format("there is no node {}", node));
  return {{"RAILYARD_FABRIC", name()}, {"RAILYARD_NODE", std::to_string(node)}};
}

int Fabric::node_count() const { return static_cast<int>(impl_->segment.header().node_count); }

int Fabric::node(const std::string& name) const {
  for (int i = 0; i < node_count(); ++i) {
    if (name == impl_->segment.node(static_cast<uint32_t>(i)).name) return i;
  }
  return -1;
}

int Fabric::cable(const std::string& name) const {
  for (uint32_t i = 0; i < impl_->segment.header().cable_count; ++i) {
    if (name == impl_->segment.cable(i).name) return static_cast<int>(i);
  }
  return -1;
}

std::string Fabric::port_name(int port) const {
  if (port >= static_cast<int>(impl_->segment.header().port_count)) {
    throw Error(fmt::format("there is no port {}", port));
  }
  return name_of_port(impl_->segment, port);
}

int64_t Fabric::now_ns() const { return impl_->segment.to_ns(impl_->segment.now_ticks()); }

CableChange Fabric::unplug(int cable) { return impl_->set_plugged(cable, false); }
CableChange Fabric::plug(int cable) { return impl_->set_plugged(cable, true); }

CableChange Fabric::swap(int first, int second, int node) {
  std::lock_guard lock(impl_->mutex);
  const Segment& segment = impl_->segment;
  Cable* cables[] = {&impl_->cable(first), &impl_->cable(second)};
  Plug* plugs[2] = {};
  for (int i : {0, 1}) {
    for (Plug& plug : cables[i]->ends) {
      int32_t port = plug.port.load();
      if (port >= 0 &&
          static_cast<int>(segment.device(segment.port(static_cast<uint32_t>(port)).device).node) ==
              node) {
        plugs[i] = &plug;
      }
    }
    if (!plugs[i]) {
      throw Error(fmt::format("cable {} has no plug at node {}", cables[i]->name, node));
    }
  }
  if (first == second) {
    return {now_ns(), false, impl_->describe(*cables[0]) + " was to be exchanged with itself"};
  }
  std::string before[] = {impl_->describe(*cables[0]), impl_->describe(*cables[1])};
  int32_t port = plugs[0]->port.load();
  plugs[0]->port.store(plugs[1]->port.load(), std::memory_order_release);
  plugs[1]->port.store(port, std::memory_order_release);
  return impl_->changed({cables[0], cables[1]},
                        fmt::format("{}, {} (were {}, {})", impl_->describe(*cables[0]),
                                    impl_->describe(*cables[1]), before[0], before[1]));
}

int Fabric::arm(const VerbFault& fault) {
  Verb verb = verb_by_name(fault.verb);
  if (verb == Verb::none) throw Error(fmt::format("there is no verb '{}'", fault.verb));
  if (fault.node < -1 || fault.node >= node_count()) {
    throw Error(fmt::format("there is no node {}", fault.node));
  }
  if (fault.nth == 0 || fault.times == 0) throw Error("calls are counted from 1");
  if (fault.action == VerbFault::Action::block_until_arrival && verb != Verb::post_recv) {
    throw Error("only ibv_post_recv can wait for an arrival");
  }
  std::lock_guard lock(impl_->mutex);
  for (uint32_t i = 0; i < kMaxFaults; ++i) {
    Fault& record = impl_->segment.fault(i);
    if (record.armed.load() != 0 || record.fired.load() != 0) continue;
    record.verb = static_cast<uint32_t>(verb);
    record.node = fault.node;
    record.nth = fault.nth;
    record.times = fault.times;
    record.action = static_cast<FaultAction>(fault.action);
    record.error_number = fault.error_number;
    record.delay_ns = fault.delay_ns;
    record.armed.store(1, std::memory_order_release);
    impl_->segment.header().gate.fetch_or(kGateFaults);
    return static_cast<int>(i);
  }
  throw Error(fmt::format("more than {} faults", kMaxFaults));
}

void Fabric::disarm(int fault) {
  if (fault < 0 || fault >= static_cast<int>(kMaxFaults)) throw Error("there is no such fault");
  impl_->segment.fault(static_cast<uint32_t>(fault)).armed.store(0, std::memory_order_release);
  impl_->wake_everyone();
}

namespace {

std::string describe_fired(const Segment& segment, const Fault& fault) {
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
  }
  return "";
}

}  // namespace

Snapshot Fabric::snapshot() const {
  std::lock_guard lock(impl_->mutex);
  const Segment& segment = impl_->segment;
  Snapshot out = impl_->inspector.look(segment);
  for (uint32_t i = 0; i < kMaxFaults; ++i) {
    const Fault& fault = segment.fault(i);
    uint64_t fired = fault.fired.load(std::memory_order_acquire);
    if (fault.armed.load() == 0 && fired == 0) continue;
    out.faults.push_back({static_cast<int>(i), fired, segment.to_ns(fault.first_ticks.load()),
                          fired ? describe_fired(segment, fault) : ""});
  }
  return out;
}

std::vector<TraceEvent> Fabric::trace(size_t most) const {
  return read_trace(impl_->segment, most);
}

void Fabric::reap(pid_t pid) {
  const Segment& segment = impl_->segment;
  for (uint32_t i = 0; i < segment.header().processes_used.load(); ++i) {
    if (segment.process(i).pid == pid && segment.process(i).state.load() == kLive) segment.reap(i);
  }
  segment.reap_dead();
  impl_->wake_everyone();
}

}  // namespace railyard::fabric
