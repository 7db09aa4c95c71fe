#include "faults/engine.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "scenario/units.h"

namespace railyard::harness {

namespace {

fabric::VerbFault verb_fault(const FaultPlan& plan) {
  using Action = fabric::VerbFault::Action;
  fabric::VerbFault fault;
  fault.verb = plan.when.at_verb->verb;
  fault.node = plan.when.at_verb->rank;
  fault.nth = plan.when.at_verb->nth;
  fault.times = plan.when.at_verb->times;
  fault.error_number = plan.error_number;
  fault.delay_ns = plan.duration.count();
  switch (plan.kind) {
    case FaultKind::verb_block:
      fault.action = Action::block;
      break;
    case FaultKind::verb_delay:
      fault.action = Action::delay;
      break;
    case FaultKind::receive_delay_until_arrival:
      fault.action = Action::block_until_arrival;
      break;
    default:
      fault.action = Action::fail;
  }
  return fault;
}

}  // namespace

FaultEngine::FaultEngine(const Scenario& scenario, fabric::Fabric& fabric,
                         std::vector<PageFile>& pages, std::vector<RankHandle>& ranks)
    : scenario_(scenario), fabric_(fabric), pages_(pages), ranks_(ranks), stopped_(ranks.size()) {
  for (const FaultPlan& plan : scenario.faults) states_.emplace_back().plan = &plan;
}

void FaultEngine::arm() {
  for (State& state : states_) {
    if (state.plan->when.at_verb) state.armed = fabric_.arm(verb_fault(*state.plan));
  }
  for (size_t rank = 0; rank < ranks_.size(); ++rank) set_pause(static_cast<int>(rank));
}

void FaultEngine::set_pause(int rank) {
  Position next = kNowhere;
  for (const State& state : states_) {
    const auto& at = state.plan->when.at_operation;
    if (!at || at->rank != rank || state.fired) continue;
    next = std::min(next, make_position(at->operation, at->iteration));
  }
  pages_[static_cast<size_t>(rank)]->pause_at.store(next, std::memory_order_release);
}

void FaultEngine::tick() {
  int64_t now = fabric_.now_ns();
  for (State& state : states_) {
    if (state.resume_at_ns != 0 && now >= state.resume_at_ns) {
      state.resume_at_ns = 0;
      auto rank = static_cast<size_t>(state.plan->rank);
      if (ranks_[rank].alive()) {
        ranks_[rank].signal(SIGCONT);
        stopped_[rank] = false;
        state.evidence += fmt::format(", resumed after {}", format_ns(now - state.at_ns));
      }
    }
    if (state.fired || !state.plan->when.after) continue;
    if (now - started_ns_ >= state.plan->when.after->count()) fire(state);
  }
  for (size_t rank = 0; rank < pages_.size(); ++rank) {
    WorkerPage& page = *pages_[rank];
    if (!page.paused()) continue;
    Position here = page.pause_at.load(std::memory_order_acquire);
    for (State& state : states_) {
      const auto& at = state.plan->when.at_operation;
      if (!state.fired && at && at->rank == static_cast<int>(rank) &&
          make_position(at->operation, at->iteration) == here) {
        fire(state);
      }
    }
    set_pause(static_cast<int>(rank));
    page.resumes.store(page.pauses.load(std::memory_order_acquire), std::memory_order_release);
  }
}

bool FaultEngine::timers_pending() const {
  return std::any_of(states_.begin(), states_.end(), [](const State& state) {
    return state.resume_at_ns != 0 || (state.plan->when.after && !state.fired);
  });
}

void FaultEngine::fire(State& state) {
  state.fired = true;
  state.at_ns = fabric_.now_ns();
  if (state.plan->cables.empty()) {
    fire_on_rank(state);
  } else {
    fire_on_cables(state);
  }
}

void FaultEngine::fire_on_cables(State& state) {
  const FaultPlan& plan = *state.plan;
  auto record = [&](const fabric::CableChange& change) {
    state.changed = state.changed || change.changed;
    state.evidence += (state.evidence.empty() ? "" : "; ") + change.evidence;
  };
  if (plan.kind == FaultKind::cable_swap) {
    record(fabric_.swap(fabric_.cable(plan.cables[0]), fabric_.cable(plan.cables[1]),
                        fabric_.node(plan.node)));
    return;
  }
  for (const std::string& name : plan.cables) {
    int cable = fabric_.cable(name);
    record(plan.kind == FaultKind::cable_plug ? fabric_.plug(cable) : fabric_.unplug(cable));
  }
}

void FaultEngine::fire_on_rank(State& state) {
  const FaultPlan& plan = *state.plan;
  auto rank = static_cast<size_t>(plan.rank);
  RankHandle& handle = ranks_[rank];
  if (!handle.alive()) {
    state.evidence = fmt::format("rank {} had ended already", plan.rank);
    return;
  }
  std::string who = fmt::format("rank {} (pid {})", plan.rank, handle.pid());
  switch (plan.kind) {
    case FaultKind::rank_kill:
      handle.killed_by_fault();
      handle.signal(SIGKILL);
      state.changed = true;
      state.evidence = who + " killed";
      break;
    case FaultKind::rank_stop:
      handle.signal(SIGSTOP);
      state.changed = !stopped_[rank];
      state.evidence = who + (stopped_[rank] ? " was stopped already" : " stopped");
      stopped_[rank] = true;
      if (plan.duration.count() > 0) state.resume_at_ns = state.at_ns + plan.duration.count();
      break;
    default:
      handle.signal(SIGCONT);
      state.changed = stopped_[rank];
      state.evidence = who + (stopped_[rank] ? " resumed" : " was not stopped");
      stopped_[rank] = false;
  }
}

std::vector<FaultReport> FaultEngine::reports(const fabric::Snapshot& snapshot) const {
  std::vector<FaultReport> reports;
  for (const State& state : states_) {
    FaultReport report{state.plan->name, state.plan->when.text, state.fired, state.changed,
                       state.at_ns,      state.evidence,        ""};
    for (const fabric::FaultView& view : snapshot.faults) {
      if (state.armed < 0 || view.id != state.armed) continue;
      report.fired = report.changed = view.fired > 0;
      report.at_ns = view.first_fired_ns;
      report.evidence = view.evidence;
    }
    FaultOutcome outcome = !report.fired     ? FaultOutcome::did_not_fire
                           : !report.changed ? FaultOutcome::no_change
                                             : FaultOutcome::fired;
    if (outcome != state.plan->expected) {
      report.failure = outcome == FaultOutcome::did_not_fire ? "did not fire"
                       : outcome == FaultOutcome::no_change  ? "fired but changed nothing"
                                                             : "fired, against the expectation";
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace railyard::harness
