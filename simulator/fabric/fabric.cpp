#include <fmt/format.h>

#include "fabric/build.h"
#include "fabric/impl.h"
#include "fabric/topology.h"
#include "fabric/trace.h"
#include "railyard/fabric.h"

namespace railyard::fabric {

using namespace layout;

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

CableChange Fabric::replug(int cable, int end, int port) {
  std::lock_guard lock(impl_->mutex);
  Cable& target = impl_->cable(cable);
  if (end != 0 && end != 1) throw Error("a cable has the ends 0 and 1");
  Plug& plug = target.ends[end];
  std::string name = port_name(port);
  if (plug.switch_index.load() >= 0) {
    throw Error(fmt::format("end {} of cable {} is plugged into a switch", end, target.name));
  }
  std::string before = impl_->describe(target);
  if (plug.port.load() == port) return {now_ns(), false, before + " already was"};
  if (int32_t other = cable_of(impl_->segment, port); other >= 0) {
    throw Error(fmt::format("{} is taken by cable {}", name,
                            impl_->segment.cable(static_cast<uint32_t>(other)).name));
  }
  plug.port.store(port, std::memory_order_release);
  return impl_->changed({&target}, fmt::format("{} (was {})", impl_->describe(target), before));
}

Snapshot Fabric::snapshot() const {
  std::lock_guard lock(impl_->mutex);
  const Segment& segment = impl_->segment;
  // Who looks on sees to it that the time which the dead are left for their messages ends.
  segment.reap_further();
  Snapshot out = impl_->inspector.look(segment);
  out.faults = view_faults(segment);
  return out;
}

void Fabric::record_trace(bool on) {
  auto& gate = impl_->segment.header().gate;
  on ? gate.fetch_or(kGateTrace) : gate.fetch_and(~kGateTrace);
}

std::vector<TraceEvent> Fabric::trace(size_t most) const {
  return read_trace(impl_->segment, most);
}

std::vector<TraceEvent> Fabric::trace_since(TraceCursor& cursor) const {
  return read_trace_since(impl_->segment, cursor);
}

void Fabric::reap(pid_t pid) {
  const Segment& segment = impl_->segment;
  for (uint32_t i = 0; i < segment.header().processes_used.load(); ++i) {
    if (segment.process(i).pid == pid) segment.reap(i);
  }
  segment.reap_dead();
  impl_->wake_everyone();
}

}  // namespace railyard::fabric
