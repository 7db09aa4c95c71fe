// Decides from what is seen, not from time-outs, whether a run can still go on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "platform/process_state.h"
#include "railyard/fabric.h"

namespace railyard::harness {

// One rank at one moment.
struct RankLook {
  int rank = -1;
  pid_t pid = 0;
  bool alive = true;
  bool computing = false;   // its page says that it is busy on its own
  bool starting = false;    // no group yet: what it waits for may need another's start
  uint64_t iterations = 0;  // finished, from its page
  ProcessState state;       // filled where the fabric does not tell
};

// Everything at one moment.
struct Look {
  int64_t now_ns = 0;  // of the fabric's clock
  fabric::Snapshot snapshot;
  std::vector<RankLook> ranks;
  bool timers = false;  // the harness itself will change something: a fault, a resume
  // A worker was killed in start-up: who is still in it tries again for nothing.
  bool orphaned = false;
  // Whether the ranks' connections lead to each other alone. Asked only where it decides.
  std::function<bool()> among_themselves = [] { return false; };
};

// The run is stuck when every live rank waits, nothing is in flight and no timer is pending, and
// this has stayed so for long enough to be sure:
//  - a rank that polls must have polled in vain in several looks;
//  - a rank inside a verb that does not return waits;
//  - a rank outside of verbs waits when all its threads sleep in a call that another process ends
//    and it has not worked meanwhile; this takes longer, since a retry after a pause looks alike,
//    and longest where no rank is in the fabric and a time-out or somebody else may end such a
//    call;
//  - a stopped rank waits;
//  - in start-up a rank whose group lacks one that was killed waits, whatever it tries.
class Observer {
 public:
  struct Decision {
    bool stuck = false;
    int64_t since_ns = 0;  // when the last progress was
  };

  Decision look(const Look& now);

  // How a rank waits at this look, in words; empty: it does not.
  static std::string waiting(const RankLook& rank, const fabric::ProcessView* view);
  // Whether it waits outside of verbs: in a socket, a lock, for a child.
  static bool outside(const RankLook& rank, const fabric::ProcessView* view);

 private:
  struct Seen {
    uint64_t empty_polls = 0;
    int grown = 0;  // looks since the start of the quiet in which empty polls had grown
    uint64_t polled_cpu_ns = 0;  // its CPU time when they last had
    uint64_t cpu_ns = 0;
    uint64_t wakeups = 0;
  };

  // How long it must stay quiet.
  int64_t needed(const Look& now, int in_fabric, int outside) const;
  static bool between_polls(const RankLook& rank, const Seen& seen);
  static bool worked(const RankLook& rank, const Seen& seen, int64_t quiet, bool orphan);
  void restart(const Look& now);
  bool changed(const Look& now) const;

  bool first_ = true;
  uint64_t activity_ = 0;
  uint64_t iterations_ = 0;
  int alive_ = 0;
  int64_t quiet_since_ns_ = 0;
  std::map<int, Seen> seen_;
};

// The process of a rank in a snapshot, or nullptr: the rank's own, or else a child's on its node.
const fabric::ProcessView* process_of(const fabric::Snapshot& snapshot, int rank, pid_t pid);

}  // namespace railyard::harness
