// Faults of calls: the fabric fires them inside the rank.
#include "faults/armed.h"

namespace railyard::harness {

namespace {

class VerbAction : public ArmedAction {
 public:
  using ArmedAction::ArmedAction;

  void strike() override {
    using Act = fabric::VerbFault::Action;
    fabric::VerbFault fault;
    if (const auto& at = plan_.when.at_verb) {
      fault.verb = at->verb;
      fault.node = at->rank;
      fault.nth = at->nth;
      fault.times = at->times;
    } else {
      fault.verb = plan_.verb;
      fault.node = plan_.rank;
      fault.times = plan_.times;
      fault.from_now = true;
    }
    fault.error_number = plan_.error_number;
    fault.delay_ns = plan_.duration.count();
    fault.action = plan_.kind == FaultKind::verb_block                    ? Act::block
                   : plan_.kind == FaultKind::verb_delay                  ? Act::delay
                   : plan_.kind == FaultKind::completion_alter            ? Act::alter
                   : plan_.kind == FaultKind::receive_delay_until_arrival ? Act::block_until_arrival
                                                                          : Act::fail;
    armed_ = yard_.fabric.arm(fault);
  }
};

}  // namespace

ActionPointer make_verb_action(const FaultPlan& plan, FaultYard& yard) {
  switch (plan.kind) {
    case FaultKind::receive_delay_until_arrival:
    case FaultKind::verb_fail:
    case FaultKind::verb_block:
    case FaultKind::verb_delay:
    case FaultKind::completion_alter:
      return std::make_unique<VerbAction>(plan, yard);
    default:
      return nullptr;
  }
}

}  // namespace railyard::harness
