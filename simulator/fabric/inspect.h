// A snapshot of a segment for those who look on.
#pragma once

#include <vector>

#include "fabric/segment.h"
#include "railyard/fabric.h"

namespace railyard::fabric {

// Remembers what it saw last, which is how it knows who polls. Not thread-safe.
class Inspector {
 public:
  Snapshot look(const Segment& segment);

 private:
  struct Seen {
    uint64_t progress = 0, empty_polls = 0;
  };
  std::vector<Seen> seen_;
};

// "node0/rdma_en3", or "nothing" for layout::kNowhere.
std::string name_of_port(const Segment& segment, int32_t port);

}  // namespace railyard::fabric
