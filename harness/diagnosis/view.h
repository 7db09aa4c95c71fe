// A snapshot with the questions that the rules ask of it.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "diagnosis/diagnose.h"

namespace railyard::harness {

class View {
 public:
  explicit View(const Evidence& evidence) : evidence_(evidence), snapshot_(evidence.snapshot) {}

  const Evidence& evidence() const { return evidence_; }
  const fabric::Snapshot& snapshot() const { return snapshot_; }

  std::string port_name(int port) const;    // "node0/rdma_en3"
  std::string cable_name(int cable) const;  // "c1"
  std::string device_name(int device) const;

  int rank_of(const fabric::QueuePairView& pair) const;  // -1: unknown
  int rank_of_process(int process) const;
  const RankEvidence* rank(int rank) const;
  int port_of(const fabric::QueuePairView& pair) const;
  int peer_rank_of(const fabric::QueuePairView& pair) const;
  // The port's place among those over which the process talks to the same rank.
  int rail_of(const fabric::QueuePairView& pair) const;

  int cable_of_port(int port) const;
  // The port at the other end of the cable in `port`, -1: none.
  int far_end(int port) const;
  bool plugged(int cable) const;

  // The port of a node's device, -1: none of that name.
  int port_of_device(int node, const std::string& device) const;

  // "queue pair 17 of rank 0 on node0/rdma_en3 (rail 1 to rank 1)"
  std::string describe(const fabric::QueuePairView& pair) const;
  uint64_t unfilled(const fabric::QueuePairView& pair) const {
    return pair.receives_posted - std::min(pair.receives_posted, pair.receives_filled);
  }
  uint64_t unsettled(const fabric::QueuePairView& pair) const {
    return pair.sends_posted - std::min(pair.sends_posted, pair.sends_settled);
  }

 private:
  const Evidence& evidence_;
  const fabric::Snapshot& snapshot_;
};

// Adds a name once.
void add_name(Diagnosis& diagnosis, const std::string& name);

}  // namespace railyard::harness
