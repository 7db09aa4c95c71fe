// What one fault does, and how it shows that it did.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster/side_channel.h"
#include "cluster/workplace.h"
#include "faults/device_faults.h"
#include "railyard/fabric.h"
#include "railyard/scenario.h"

namespace railyard::harness {

// What a fault may do to a rank's process.
struct RankHandle {
  std::function<bool()> alive;
  std::function<pid_t()> pid;
  std::function<void(int)> signal;
  std::function<void()> killed_by_fault;
  bool stopped = false;
};

// All that faults act on; outlives them.
struct FaultYard {
  const Scenario& scenario;
  fabric::Fabric& fabric;
  std::vector<PageFile>& pages;
  std::vector<RankHandle>& ranks;
  SideChannel* side_channel = nullptr;    // where a fault breaks it
  DeviceFaults* devices = nullptr;        // where the devices are not the fabric's
  std::vector<std::pair<int, int>> held;  // cables, and the faults that hold messages on them
};

class Action {
 public:
  Action(const FaultPlan& plan, FaultYard& yard) : plan_(plan), yard_(yard) {}
  virtual ~Action() = default;
  Action(const Action&) = delete;

  // Its moment has come. Called once.
  virtual void strike() = 0;
  // Called often, from the start of the run to its end.
  virtual void tick(const fabric::Snapshot&) {}
  // Whether it will change something by itself, so that the run is not stuck for good.
  virtual bool pending() const { return false; }
  // The run is over: what came of it.
  virtual void conclude(const fabric::Snapshot&) {}

  bool fired() const { return fired_; }
  bool changed() const { return changed_; }
  int64_t at_ns() const { return at_ns_; }
  const std::string& evidence() const { return evidence_; }

 protected:
  void fire() {
    fired_ = true;
    at_ns_ = yard_.fabric.now_ns();
  }
  // Adds a piece of evidence; `change`: something is different from before.
  void record(const std::string& what, bool change);

  const FaultPlan& plan_;
  FaultYard& yard_;
  bool fired_ = false, changed_ = false;
  int64_t at_ns_ = 0;
  std::string evidence_;
};

using ActionPointer = std::unique_ptr<Action>;

ActionPointer make_cable_action(const FaultPlan& plan, FaultYard& yard);
ActionPointer make_message_action(const FaultPlan& plan, FaultYard& yard);
ActionPointer make_verb_action(const FaultPlan& plan, FaultYard& yard);
ActionPointer make_device_action(const FaultPlan& plan, FaultYard& yard);
ActionPointer make_rank_action(const FaultPlan& plan, FaultYard& yard);
ActionPointer make_side_channel_action(const FaultPlan& plan, FaultYard& yard);
// On devices that are not the fabric's: what is done by rules and by hand.
ActionPointer make_rule_action(const FaultPlan& plan, FaultYard& yard);
ActionPointer make_hand_action(const FaultPlan& plan, FaultYard& yard);

// The port with a name like "node0/rdma_en3" in a snapshot, -1: none.
int port_named(const fabric::Fabric& fabric, const fabric::Snapshot& snapshot,
               const std::string& name);

}  // namespace railyard::harness
