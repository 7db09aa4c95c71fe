// The node that this process is a program on.
#pragma once

#include <cstdint>

#include "fabric/segment.h"

namespace railyard::preload {

struct Home {
  fabric::Segment segment;
  uint32_t node;

  const fabric::layout::Node& record() const { return segment.node(node); }
};

// From RAILYARD_FABRIC and RAILYARD_NODE, opened once; nullptr when they name none that can be used
// (libibverbs says why). Never destroyed. Thread-safe.
const Home* home();

}  // namespace railyard::preload
