// One scenario's run: its cluster, its ranks, and what watches them.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "cluster/rank_site.h"
#include "cluster/workplace.h"
#include "diagnosis/diagnose.h"
#include "faults/engine.h"
#include "observer/observer.h"
#include "railyard/run.h"
#include "record/recorder.h"

namespace railyard::harness {

class ClusterRun {
 public:
  ClusterRun(const Scenario& scenario, const RunOptions& options);

  RunReport run();

 private:
  struct Rank {
    pid_t pid = 0;
    bool alive = false;
    bool ended_by_harness = false, ended_by_fault = false;
    int64_t ended_at_ns = 0;
    std::optional<int> exit, signal;
    ProcessState state;
  };

  void start_ranks();

  // One look at everything; true while ranks live.
  bool step();
  void notice_ends();
  void watch(const fabric::Snapshot& snapshot);
  void record(const fabric::Snapshot& snapshot);
  bool over() const;
  // After a verdict: whether the run is worth going on with.
  bool worth_leaving() const;
  void end_ranks();

  Evidence evidence(const fabric::Snapshot& snapshot, bool stuck) const;
  std::string place_of(int rank) const;
  Diagnosis final_diagnosis();
  int rank_of(const fabric::TraceEvent& event) const;
  void tell_trace();
  // Of hosts: the last of each rank's verbs.
  void tell_verbs(const std::vector<RecordedVerb>& verbs);
  CrashReport crash_of(int rank) const;
  void conclude();  // fills the report once every rank has ended
  void check_leftovers();

  const Scenario& scenario_;
  const RunOptions& options_;
  RunReport report_;
  Workplace workplace_;
  fabric::Fabric fabric_;
  std::vector<PageFile> pages_;
  std::vector<Rank> ranks_;
  std::vector<RankHandle> handles_;
  std::unique_ptr<RankSite> site_;
  FaultEngine faults_;
  Observer observer_;
  DeviceMatrix matrix_;  // what the ranks are told
  std::optional<Recorder> recorder_;
  std::vector<Wait> waits_;          // at the verdict
  fabric::Snapshot last_, fullest_;  // the latest, and the latest with the most queue pairs
  bool end_now_ = false;
  std::string why_ended_;
};

}  // namespace railyard::harness
