// Where a run's ranks are processes: on this machine, or on hosts.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "platform/process_state.h"
#include "railyard/fabric.h"
#include "railyard/process.h"
#include "railyard/record.h"
#include "railyard/run.h"

namespace railyard::harness {

class DeviceFaults;
class SideChannel;

// One run's ranks. Used by the thread that watches the run. What a rank leaves behind is in the
// run's directory once ending() has told of its end: "result.<rank>.json", "output.<rank>".
class RankSite {
 public:
  virtual ~RankSite() = default;  // ends what still runs

  // All that is the same for every rank; before the faults are armed. Throws what run_scenario
  // does.
  virtual void prepare() {}
  virtual void start(int rank) = 0;

  virtual pid_t pid(int rank) const = 0;
  // How it ended, once it has; does not block.
  virtual std::optional<Ending> ending(int rank) = 0;
  // To the rank and everything that it started.
  virtual void signal(int rank, int number) = 0;
  // What the system says of the process now.
  virtual ProcessState state(int rank) = 0;
  // Whether the connections of the ranks that live lead to each other, or to this process, alone.
  virtual bool among_themselves(const std::vector<int>& ranks) = 0;
  // Whether what is known of the ranks is younger than `since_ns` of the fabric's clock. Where it has
  // to be asked for first, false until the answer is there.
  virtual bool known_since(int64_t since_ns) {
    (void)since_ns;
    return true;
  }
  // Brings the pages up to date, and adds to a look at the fabric what else is known.
  virtual void look(fabric::Snapshot&) {}

  // What went wrong with where they run, a line each; empty: nothing.
  virtual std::vector<std::string> troubles() const { return {}; }

  // How long the run was held up by somebody's hands so far.
  virtual int64_t waited_ns() const { return 0; }

  // What ranks did in verbs, by time, once every rank has ended; empty where the fabric tells it.
  virtual std::vector<RecordedVerb> verbs() const { return {}; }

  // What devices did, once every rank has ended.
  virtual std::vector<ConformanceEntry> conformance() const { return {}; }

  // What breaks the side channel; nullptr: nothing was asked for.
  virtual SideChannel* side_channel() = 0;
  // What breaks devices that are not the fabric's; nullptr: they are.
  virtual DeviceFaults* device_faults() { return nullptr; }
};

}  // namespace railyard::harness
