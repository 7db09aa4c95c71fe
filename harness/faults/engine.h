// Fires the faults of a scenario and keeps the evidence.
#pragma once

#include <vector>

#include "faults/action.h"
#include "railyard/run.h"

namespace railyard::harness {

class FaultEngine {
 public:
  // All outlive the engine; `pages` and `ranks` are by rank and may be filled later, before arm().
  FaultEngine(const Scenario& scenario, fabric::Fabric& fabric, std::vector<PageFile>& pages,
              std::vector<RankHandle>& ranks);

  // Before the ranks are started: what the fabric fires by itself, what strikes before the start,
  // and the first pause points.
  void arm(SideChannel* side_channel, DeviceFaults* devices);
  void started(int64_t now_ns) { started_ns_ = now_ns; }

  // Fires what is due; called often, with a fresh look at the fabric.
  void tick(const fabric::Snapshot& snapshot);

  // Something is going to change by itself: a timed fault or a resume is still to come.
  bool timers_pending() const;

  // What happened, once the run is over.
  std::vector<FaultReport> reports(const fabric::Snapshot& after);

  // Whether any fault of the scenario breaks the side channel.
  static bool needs_relay(const Scenario& scenario);

 private:
  struct State {
    const FaultPlan* plan = nullptr;
    ActionPointer action;
    bool struck = false;
    int gate = -1;  // what holds a call or a message in the fabric until the fault has struck
    DeviceFaults::Rule rule;  // or in the rank
  };

  void strike(State& state);
  void arm_gate(State& state);
  DeviceFaults::Rule arm_gate_on_host(const FaultPlan& plan);
  void pass_gates(const fabric::Snapshot& snapshot);
  void pass_pauses();
  // The next pause point of a rank: the earliest of its faults that has not struck.
  void set_pause(int rank);

  FaultYard yard_;
  std::vector<State> states_;
  int64_t started_ns_ = 0;
};

}  // namespace railyard::harness
