// From a cluster's specification to a filled segment.
#pragma once

#include <string>

#include "fabric/segment.h"
#include "railyard/fabric.h"

namespace railyard::fabric {

// Throws Error where the specification is wrong, before the segment exists.
Segment build(const std::string& segment_name, const ClusterSpec& spec);

}  // namespace railyard::fabric
