// Fires the faults of a scenario and keeps the evidence.
#pragma once

#include <functional>
#include <vector>

#include "cluster/workplace.h"
#include "railyard/fabric.h"
#include "railyard/run.h"
#include "railyard/scenario.h"

namespace railyard::harness {

// What a fault may do to a rank's process.
struct RankHandle {
  std::function<bool()> alive;
  std::function<pid_t()> pid;
  std::function<void(int)> signal;
  std::function<void()> killed_by_fault;
};

class FaultEngine {
 public:
  // `pages` and `ranks` are by rank and outlive the engine.
  FaultEngine(const Scenario& scenario, fabric::Fabric& fabric, std::vector<PageFile>& pages,
              std::vector<RankHandle>& ranks);

  // Before the ranks are started: verb faults and the first pause points.
  void arm();
  void started(int64_t now_ns) { started_ns_ = now_ns; }

  // Fires what is due; called often.
  void tick();

  // Something is going to change by itself: a timed fault or a resume is still to come.
  bool timers_pending() const;

  // What happened. `snapshot` holds the evidence of verb faults.
  std::vector<FaultReport> reports(const fabric::Snapshot& snapshot) const;

 private:
  struct State {
    const FaultPlan* plan = nullptr;
    int armed = -1;  // id in the fabric, for verb faults
    bool fired = false, changed = false;
    int64_t at_ns = 0;
    int64_t resume_at_ns = 0;  // rank.stop with a duration
    std::string evidence;
  };

  void fire(State& state);
  void fire_on_cables(State& state);
  void fire_on_rank(State& state);
  // The next pause point of a rank: the earliest of its faults that has not fired.
  void set_pause(int rank);

  const Scenario& scenario_;
  fabric::Fabric& fabric_;
  std::vector<PageFile>& pages_;
  std::vector<RankHandle>& ranks_;
  std::vector<State> states_;
  std::vector<bool> stopped_;
  int64_t started_ns_ = 0;
};

}  // namespace railyard::harness
