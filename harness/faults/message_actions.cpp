// Faults of messages on a cable: the fabric fires them, here they are armed and read.
#include <fmt/format.h>

#include <algorithm>

#include "faults/action.h"
#include "faults/armed.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

class MessageAction : public ArmedAction {
 public:
  using ArmedAction::ArmedAction;

  void strike() override {
    using Act = fabric::MessageFault::Action;
    fabric::MessageFault fault;
    if (const auto& at = plan_.when.at_message; at && plan_.fires_in_fabric()) {
      fault.cable = yard_.fabric.cable(at->cable);
      fault.from_end = at->from_end;
      fault.nth = at->nth;
      fault.times = at->times;
    } else {
      fault.cable = yard_.fabric.cable(plan_.cables[0]);
      fault.times = plan_.times;
      if (!plan_.node.empty()) fault.from_end = end_at(fault.cable);
    }
    fault.delay_ns = plan_.duration.count();
    fault.action = plan_.kind == FaultKind::message_drop        ? Act::drop
                   : plan_.kind == FaultKind::message_delay     ? Act::delay
                   : plan_.kind == FaultKind::message_corrupt   ? Act::corrupt
                   : plan_.kind == FaultKind::message_duplicate ? Act::duplicate
                                                                : Act::hold;
    armed_ = yard_.fabric.arm(fault);
    if (fault.action == Act::hold) yard_.held.emplace_back(fault.cable, armed_);
  }

  void tick(const fabric::Snapshot& now) override {
    ArmedAction::tick(now);
    if (!fired_) return;
    if (plan_.kind == FaultKind::message_duplicate) look_for_datagrams(now);
    if (!holds_for_a_time() || released_) return;
    if (yard_.fabric.now_ns() < at_ns_ + plan_.duration.count()) return;
    yard_.fabric.release(armed_);
    released_ = true;
    tail_ = ", released after " + format_ns(yard_.fabric.now_ns() - at_ns_);
  }

  bool pending() const override { return fired_ && holds_for_a_time() && !released_; }

  void conclude(const fabric::Snapshot& after) override {
    ArmedAction::conclude(after);
    evidence_ += tail_;
    // Connections know what they have had; datagrams alone come twice.
    if (plan_.kind == FaultKind::message_duplicate && !datagrams_) {
      changed_ = false;
      if (fired_) evidence_ += "; its connection took it once";
    }
  }

 private:
  bool holds_for_a_time() const {
    return plan_.kind == FaultKind::message_hold && plan_.duration.count() > 0;
  }
  int end_at(int cable) const {
    const auto& ends = yard_.scenario.cluster.spec.cables[static_cast<size_t>(cable)].ends;
    return ends[0].substr(0, ends[0].find('/')) == plan_.node ? 0 : 1;
  }
  void look_for_datagrams(const fabric::Snapshot& now) {
    for (const fabric::FaultView& view : now.faults) {
      if (view.id != armed_) continue;
      for (const fabric::QueuePairView& pair : now.queue_pairs) {
        datagrams_ = datagrams_ || (pair.number == view.queue_pair && pair.type == "UD");
      }
    }
  }

  bool released_ = false, datagrams_ = false;
  std::string tail_;
};

class ReleaseAction : public Action {
 public:
  using Action::Action;
  void strike() override {
    fire();
    fabric::Snapshot now = yard_.fabric.snapshot();
    for (const auto& [cable, fault] : yard_.held) {
      const std::string& name = now.cables[static_cast<size_t>(cable)].name;
      if (std::find(plan_.cables.begin(), plan_.cables.end(), name) == plan_.cables.end()) continue;
      yard_.fabric.release(fault);
      uint64_t held = 0;
      for (const fabric::FaultView& view : now.faults) {
        if (view.id == fault) held = view.fired;
      }
      record(fmt::format("{}: {} held messages released", name, held), held > 0);
    }
    if (evidence_.empty()) record("nothing was held", false);
  }
};

}  // namespace

ActionPointer make_message_action(const FaultPlan& plan, FaultYard& yard) {
  switch (plan.kind) {
    case FaultKind::message_release:
      return std::make_unique<ReleaseAction>(plan, yard);
    case FaultKind::message_drop:
    case FaultKind::message_delay:
    case FaultKind::message_corrupt:
    case FaultKind::message_duplicate:
    case FaultKind::message_hold:
      return std::make_unique<MessageAction>(plan, yard);
    default:
      return nullptr;
  }
}

}  // namespace railyard::harness
