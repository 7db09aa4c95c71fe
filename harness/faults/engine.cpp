#include "faults/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "faults/rules.h"

namespace railyard::harness {

namespace {

ActionPointer make_action(const FaultPlan& plan, FaultYard& yard) {
  if (yard.devices) {
    for (auto make : {make_hand_action, make_rule_action}) {
      if (ActionPointer action = make(plan, yard)) return action;
    }
  }
  for (auto make : {make_cable_action, make_message_action, make_verb_action, make_device_action,
                    make_rank_action, make_side_channel_action}) {
    if (ActionPointer action = make(plan, yard)) return action;
  }
  return nullptr;  // not reached: every kind belongs to one of them
}

}  // namespace

void Action::record(const std::string& what, bool change) {
  changed_ = changed_ || change;
  evidence_ += (evidence_.empty() ? "" : "; ") + what;
}

int port_named(const fabric::Fabric& fabric, const fabric::Snapshot& snapshot,
               const std::string& name) {
  for (size_t port = 0; port < snapshot.ports.size(); ++port) {
    if (fabric.port_name(static_cast<int>(port)) == name) return static_cast<int>(port);
  }
  return -1;
}

FaultEngine::FaultEngine(const Scenario& scenario, fabric::Fabric& fabric,
                         std::vector<PageFile>& pages, std::vector<RankHandle>& ranks)
    : yard_{scenario, fabric, pages, ranks, nullptr, nullptr, {}} {}

bool FaultEngine::needs_relay(const Scenario& scenario) {
  return std::any_of(scenario.faults.begin(), scenario.faults.end(), [](const FaultPlan& plan) {
    return plan.name.rfind("side-channel.", 0) == 0;
  });
}

void FaultEngine::arm(SideChannel* side_channel, DeviceFaults* devices) {
  yard_.side_channel = side_channel;
  yard_.devices = devices;
  for (const FaultPlan& plan : yard_.scenario.faults) {
    states_.push_back({&plan, make_action(plan, yard_), false, -1, {}});
  }
  for (State& state : states_) {
    const Trigger& when = state.plan->when;
    bool at_once = when.after && when.after->count() == 0;
    if (state.plan->fires_in_fabric() || at_once) {
      strike(state);
    } else if (when.at_verb || when.at_message) {
      arm_gate(state);
    }
  }
  for (size_t rank = 0; rank < yard_.ranks.size(); ++rank) set_pause(static_cast<int>(rank));
}

void FaultEngine::arm_gate(State& state) {
  if (yard_.devices) {
    state.rule = arm_gate_on_host(*state.plan);
  } else if (const auto& at = state.plan->when.at_verb) {
    fabric::VerbFault gate;
    gate.verb = at->verb;
    gate.node = at->rank;
    gate.nth = at->nth;
    gate.action = fabric::VerbFault::Action::block;
    state.gate = yard_.fabric.arm(gate);
  } else {
    const Trigger::AtMessage& message = *state.plan->when.at_message;
    fabric::MessageFault gate;
    gate.cable = yard_.fabric.cable(message.cable);
    gate.from_end = message.from_end;
    gate.nth = message.nth;
    gate.action = fabric::MessageFault::Action::hold;
    state.gate = yard_.fabric.arm(gate);
  }
}

DeviceFaults::Rule FaultEngine::arm_gate_on_host(const FaultPlan& plan) {
  if (const auto& at = plan.when.at_verb) {
    return yard_.devices->add(at->rank, fmt::format("at {} nth {} block", at->verb, at->nth));
  }
  const Trigger::AtMessage& message = *plan.when.at_message;
  CableEnd sender = cable_end(yard_.scenario, message.cable, std::max(message.from_end, 0));
  return yard_.devices->add(sender.rank,
                            fmt::format("at ibv_post_send device {} nth {} block",
                                        yard_.devices->device(sender.port), nth_send(message)));
}

void FaultEngine::strike(State& state) {
  state.struck = true;
  state.action->strike();
}

void FaultEngine::set_pause(int rank) {
  Position next = kNowhere;
  for (const State& state : states_) {
    const auto& at = state.plan->when.at_operation;
    if (!at || at->rank != rank || state.struck) continue;
    next = std::min(next, make_position(at->operation, at->iteration));
  }
  yard_.pages[static_cast<size_t>(rank)]->pause_at.store(next, std::memory_order_release);
}

void FaultEngine::pass_gates(const fabric::Snapshot& snapshot) {
  for (State& state : states_) {
    if (state.struck) continue;
    if (state.rule.number >= 0 && yard_.devices->firings(state.rule).fired > 0) {
      strike(state);
      yard_.devices->release(state.rule);
    }
    if (state.gate < 0) continue;
    bool reached = std::any_of(
        snapshot.faults.begin(), snapshot.faults.end(),
        [&](const fabric::FaultView& view) { return view.id == state.gate && view.fired > 0; });
    if (!reached) continue;
    strike(state);
    // The call goes on, the message arrives.
    if (state.plan->when.at_message) {
      yard_.fabric.release(state.gate);
    } else {
      yard_.fabric.disarm(state.gate);
    }
  }
}

void FaultEngine::pass_pauses() {
  for (size_t rank = 0; rank < yard_.pages.size(); ++rank) {
    WorkerPage& page = *yard_.pages[rank];
    if (!page.paused()) continue;
    Position here = page.pause_at.load(std::memory_order_acquire);
    for (State& state : states_) {
      const auto& at = state.plan->when.at_operation;
      if (!state.struck && at && at->rank == static_cast<int>(rank) &&
          make_position(at->operation, at->iteration) == here) {
        strike(state);
      }
    }
    set_pause(static_cast<int>(rank));
    page.resumes.store(page.pauses.load(std::memory_order_acquire), std::memory_order_release);
  }
}

void FaultEngine::tick(const fabric::Snapshot& snapshot) {
  int64_t now = yard_.fabric.now_ns();
  for (State& state : states_) {
    state.action->tick(snapshot);
    const auto& after = state.plan->when.after;
    if (after && !state.struck && now - started_ns_ >= after->count()) strike(state);
  }
  pass_gates(snapshot);
  pass_pauses();
}

bool FaultEngine::timers_pending() const {
  return std::any_of(states_.begin(), states_.end(), [](const State& state) {
    return state.action->pending() || (state.plan->when.after && !state.struck);
  });
}

std::vector<FaultReport> FaultEngine::reports(const fabric::Snapshot& after) {
  std::vector<FaultReport> reports;
  for (State& state : states_) {
    Action& action = *state.action;
    action.conclude(after);
    FaultReport report{state.plan->name,
                       state.plan->when.text,
                       action.fired(),
                       action.changed(),
                       action.at_ns(),
                       action.evidence(),
                       ""};
    FaultOutcome outcome = !report.fired     ? FaultOutcome::did_not_fire
                           : !report.changed ? FaultOutcome::no_change
                                             : FaultOutcome::fired;
    if (state.plan->expected && outcome != *state.plan->expected) {
      report.failure = outcome == FaultOutcome::did_not_fire ? "did not fire"
                       : outcome == FaultOutcome::no_change  ? "fired but changed nothing"
                                                             : "fired, against the expectation";
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace railyard::harness
