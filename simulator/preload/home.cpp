#include "home.h"

#include <cstdlib>

#include "railyard/fabric.h"

namespace railyard::preload {

namespace {

const Home* open_home() {
  const char* name = getenv("RAILYARD_FABRIC");
  const char* node_text = getenv("RAILYARD_NODE");
  if (!name || !*name || !node_text) return nullptr;
  char* end = nullptr;
  unsigned long node = strtoul(node_text, &end, 10);
  if (end == node_text || *end != 0) return nullptr;
  try {
    auto* found = new Home{fabric::Segment::open(name), static_cast<uint32_t>(node)};
    if (node < found->segment.header().node_count) return found;
    delete found;
  } catch (const fabric::Error&) {
  }
  return nullptr;
}

}  // namespace

const Home* home() {
  static const Home* const found = open_home();
  return found;
}

}  // namespace railyard::preload
