// Faults of cables on hosts: a command or somebody's hand moves the plug, and the fabric, which is
// the model of the hosts' cables here, has the same done to it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "faults/action.h"
#include "faults/rules.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

std::string told(const FaultPlan& plan) {
  std::string cables = fmt::format("{}", fmt::join(plan.cables, " and "));
  switch (plan.kind) {
    case FaultKind::cable_unplug:
      return "unplug " + cables;
    case FaultKind::cable_plug:
      return "plug " + cables;
    case FaultKind::cable_swap:
      return fmt::format("swap {} at {}", cables, plan.node);
    case FaultKind::cable_miswire:
      return fmt::format("move the end of {} at {} to {}", cables, plan.node, plan.port);
    default:
      return fmt::format("unplug {} for {} and plug it again, {} times", cables,
                         format_duration(plan.duration), plan.times);
  }
}

class HandAction : public Action {
 public:
  HandAction(const FaultPlan& plan, FaultYard& yard)
      : Action(plan, yard), model_(make_cable_action(plan, yard)) {}

  void strike() override {
    bool done = false;
    std::string how = yard_.devices->by_hand(plan_, told(plan_), done);
    if (!done) {
      evidence_ = how;
      return;
    }
    fire();
    model_->strike();
    record(how, model_->changed());
  }
  void tick(const fabric::Snapshot& now) override { model_->tick(now); }
  bool pending() const override { return model_->pending(); }
  void conclude(const fabric::Snapshot& after) override {
    model_->conclude(after);
    if (fired_) record(yard_.devices->shown(plan_), false);
  }

 private:
  ActionPointer model_;
};

}  // namespace

ActionPointer make_hand_action(const FaultPlan& plan, FaultYard& yard) {
  return moves_plugs(plan) ? std::make_unique<HandAction>(plan, yard) : nullptr;
}

}  // namespace railyard::harness
