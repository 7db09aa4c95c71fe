// What a Fabric is inside.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fabric/inspect.h"
#include "fabric/registry.h"
#include "fabric/segment.h"
#include "platform/doorbell.h"
#include "railyard/fabric.h"

namespace railyard::fabric {

using namespace layout;

std::vector<FaultView> view_faults(const Segment& segment);

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
      if (segment.live(i)) platform::ring_bell(segment.process(i).doorbell);
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

}  // namespace railyard::fabric
