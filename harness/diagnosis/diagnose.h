// From what is seen of a run to a named cause.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "railyard/fabric.h"
#include "railyard/run.h"

namespace railyard::harness {

// What is known of one rank; rank k runs on node k.
struct RankEvidence {
  int rank = -1;
  pid_t pid = 0;
  bool alive = true;
  bool stopped = false;
  bool finished = false;  // ended well
  std::optional<int> exit, signal;
  bool ended_by_harness = false;
  int64_t ended_at_ns = 0;  // any clock, the same for all; 0: unknown
  std::string waiting;      // how it waits, in words; empty: it does not
  bool outside = false;     // it waits outside of verbs: in a socket, a lock
  std::string place;        // "all_sum, iteration 50"; may be empty
  std::string backend;      // as it says when it has ended, "": it does not
  int group_size = 0;       // the same, 0: it does not
  std::optional<RankError> error;
};

struct Evidence {
  fabric::Snapshot snapshot;
  std::vector<std::string> node_names;
  std::vector<RankEvidence> ranks;
  DeviceMatrix matrix;  // what the ranks were told of each other's devices
  std::string backend;  // which they were told to use; "any": as they like
  bool stuck = false;   // the observer says so; otherwise the run has ended
};

// The cause, or "stuck"/"error" when none is recognised, or "ok" when every rank ended well.
Diagnosis diagnose(const Evidence& evidence);

// The cause of wrong results: what the fabric saw of it is added, or takes its place.
Diagnosis explain_data(Diagnosis wrong, const Evidence& end);

// What each rank waits for, in words, by rank.
std::vector<std::string> waits(const Evidence& evidence);

}  // namespace railyard::harness
