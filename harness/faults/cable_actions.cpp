// Faults of cables: unplugged, plugged, swapped, put into the wrong port, flapping, shaped.
#include <fmt/format.h>

#include "faults/action.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

class CableAction : public Action {
 public:
  using Action::Action;

 protected:
  void record_change(const fabric::CableChange& change) { record(change.evidence, change.changed); }
  int cable(size_t i = 0) const { return yard_.fabric.cable(plan_.cables[i]); }
};

class PlugAction : public CableAction {
 public:
  using CableAction::CableAction;
  void strike() override {
    fire();
    for (size_t i = 0; i < plan_.cables.size(); ++i) {
      record_change(plan_.kind == FaultKind::cable_plug ? yard_.fabric.plug(cable(i))
                                                        : yard_.fabric.unplug(cable(i)));
    }
  }
};

class SwapAction : public CableAction {
 public:
  using CableAction::CableAction;
  void strike() override {
    fire();
    record_change(yard_.fabric.swap(cable(0), cable(1), yard_.fabric.node(plan_.node)));
  }
};

class MiswireAction : public CableAction {
 public:
  using CableAction::CableAction;
  void strike() override {
    fire();
    fabric::Snapshot now = yard_.fabric.snapshot();
    const fabric::CableView& view = now.cables[static_cast<size_t>(cable())];
    std::string here = plan_.node + "/";
    int end = yard_.fabric.port_name(view.ports[0]).rfind(here, 0) == 0 ? 0 : 1;
    try {
      record_change(yard_.fabric.replug(cable(), end, port_named(yard_.fabric, now, plan_.port)));
    } catch (const fabric::Error& error) {
      record(error.what(), false);  // another fault has put a cable there
    }
  }
};

// Down for a time, up for as long, so many times.
class FlapAction : public CableAction {
 public:
  using CableAction::CableAction;
  void strike() override {
    fire();
    left_ = plan_.times * 2;
    turn(at_ns_);
  }
  void tick(const fabric::Snapshot&) override {
    int64_t now = yard_.fabric.now_ns();
    if (left_ > 0 && now >= next_ns_) turn(now);
  }
  bool pending() const override { return left_ > 0; }

 private:
  void turn(int64_t now) {
    bool down = left_ % 2 == 0;
    for (size_t i = 0; i < plan_.cables.size(); ++i) {
      fabric::CableChange change =
          down ? yard_.fabric.unplug(cable(i)) : yard_.fabric.plug(cable(i));
      changes_ += change.changed;
      if (evidence_.empty()) record_change(change);
    }
    --left_;
    next_ns_ = now + plan_.duration.count();
    if (left_ == 0) record(fmt::format("{} changes in all, up again", changes_), changes_ > 0);
  }

  uint64_t left_ = 0, changes_ = 0;
  int64_t next_ns_ = 0;
};

class ShapeAction : public CableAction {
 public:
  using CableAction::CableAction;

  void strike() override {
    fire();
    fabric::Snapshot now = yard_.fabric.snapshot();
    fabric::LinkModel model = plan_.link;
    model.seed = yard_.scenario.seed;
    for (size_t i = 0; i < plan_.cables.size(); ++i) {
      const auto& spec = yard_.scenario.cluster.spec.cables[static_cast<size_t>(cable(i))];
      for (int end : {0, 1}) {
        std::string place = spec.ends[end].substr(0, spec.ends[end].find('/'));
        if (!plan_.node.empty() && place != plan_.node) continue;
        yard_.fabric.shape(cable(i), end, model);
        shaped_.push_back({cable(i), end, link(now, cable(i), end)});
      }
    }
  }

  void conclude(const fabric::Snapshot& after) override {
    if (!fired_) return;
    for (const Shaped& each : shaped_) {
      fabric::LinkView now = link(after, each.cable, each.end);
      uint64_t messages = now.messages - each.before.messages;
      uint64_t struck = now.lost + now.corrupted + now.duplicated + now.reordered -
                        each.before.lost - each.before.corrupted - each.before.duplicated -
                        each.before.reordered;
      bool slower = plan_.link.latency_ns > 0 || plan_.link.bandwidth_bytes_per_s > 0;
      record(fmt::format(
                 "{} from {}: {} messages since, {} lost, {} corrupted, {} duplicated, "
                 "{} reordered",
                 after.cables[static_cast<size_t>(each.cable)].name,
                 yard_.scenario.cluster.spec.cables[static_cast<size_t>(each.cable)].ends[each.end],
                 messages, now.lost - each.before.lost, now.corrupted - each.before.corrupted,
                 now.duplicated - each.before.duplicated, now.reordered - each.before.reordered),
             struck > 0 || (slower && messages > 0));
    }
  }

 private:
  struct Shaped {
    int cable, end;
    fabric::LinkView before;
  };
  static fabric::LinkView link(const fabric::Snapshot& snapshot, int cable, int end) {
    return snapshot.cables[static_cast<size_t>(cable)].links[end];
  }
  std::vector<Shaped> shaped_;
};

}  // namespace

ActionPointer make_cable_action(const FaultPlan& plan, FaultYard& yard) {
  switch (plan.kind) {
    case FaultKind::cable_unplug:
    case FaultKind::cable_plug:
      return std::make_unique<PlugAction>(plan, yard);
    case FaultKind::cable_swap:
      return std::make_unique<SwapAction>(plan, yard);
    case FaultKind::cable_miswire:
      return std::make_unique<MiswireAction>(plan, yard);
    case FaultKind::cable_flap:
      return std::make_unique<FlapAction>(plan, yard);
    case FaultKind::link_shape:
      return std::make_unique<ShapeAction>(plan, yard);
    default:
      return nullptr;
  }
}

}  // namespace railyard::harness
