// Keeps the record of a run while it is watched.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "railyard/fabric.h"
#include "railyard/record.h"
#include "record/messages.h"

namespace railyard::harness {

// One rank at one look.
struct RankMoment {
  bool alive = false;
  RankActivity activity = RankActivity::starting;
  int operation = -1;
  uint32_t iteration = 0;
};

class Recorder {
 public:
  // `most` messages are kept.
  Recorder(const fabric::Fabric& fabric, const fabric::ClusterSpec& cluster,
           std::vector<std::string> operations, size_t most);

  // Looks must come in order of time. Reads the fabric's trace.
  void look(const fabric::Snapshot& snapshot, const std::vector<RankMoment>& ranks);

  // What has happened up to the last look; `waits` as of the verdict. Ends the recording.
  RunRecord finish(std::vector<Wait> waits);

 private:
  void read_trace();
  void note_pairs(const fabric::Snapshot& snapshot);
  void note_traffic(const fabric::Snapshot& snapshot);
  void note_ranks(int64_t now_ns, const std::vector<RankMoment>& ranks);
  void coarsen();

  const fabric::Fabric& fabric_;
  fabric::ClusterSpec cluster_;
  fabric::TraceCursor cursor_;
  MessageBook messages_;
  RunRecord record_;
  std::map<uint32_t, RecordedPair> pairs_;
  std::vector<fabric::PortView> ports_;  // as of the last look
  std::vector<int> rank_of_process_;
  std::vector<fabric::CableView> cables_;
  int64_t last_look_ns_ = 0;
};

}  // namespace railyard::harness
