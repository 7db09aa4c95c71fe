// A small language for snapshots made by hand: two nodes, two cables, a rank on each node.
#pragma once

#include <string>

#include "diagnosis/diagnose.h"
#include "observer/observer.h"

namespace railyard::harness {

class Yard {
 public:
  Yard();

  // Connects queue pairs over cable c1 (index 0) or c2 (index 1); their indices are 2 x cable +
  // rank.
  void connect(int cable);
  fabric::QueuePairView& pair(int rank, int cable) {
    return snapshot().queue_pairs[static_cast<size_t>(2 * cable + rank)];
  }
  fabric::ProcessView& process(int rank) { return snapshot().processes[static_cast<size_t>(rank)]; }
  RankEvidence& rank(int rank) { return evidence.ranks[static_cast<size_t>(rank)]; }
  fabric::Snapshot& snapshot() { return evidence.snapshot; }

  void swap_at_node1();
  void unplug(int cable);
  void fail(int rank, const std::string& code, const std::string& status = "");
  void end(int rank, int signal);

  Diagnosis diagnose() const { return harness::diagnose(evidence); }

  Evidence evidence;
};

}  // namespace railyard::harness
