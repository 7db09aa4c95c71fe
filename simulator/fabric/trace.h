// The events that processes keep of themselves, for those who look on.
#pragma once

#include <vector>

#include "fabric/segment.h"
#include "railyard/fabric.h"

namespace railyard::fabric {

std::vector<TraceEvent> read_trace(const Segment& segment, size_t most);
std::vector<TraceEvent> read_trace_since(const Segment& segment, TraceCursor& cursor);

}  // namespace railyard::fabric
