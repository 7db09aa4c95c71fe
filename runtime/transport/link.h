// The rails to one peer. A stream's messages go over them in turn: message m over rail m modulo
// their number. Both sides know the number of every message, so nothing has to be said about where
// it travels, and no rail's share depends on sizes.
#pragma once

#include <vector>

#include "transport/rail.h"

namespace railyard {

struct Link {
  int peer = -1;
  std::vector<Rail*> rails;  // empty: there is none to this rank
  // Streams so far, in each direction; see MessageHeader.
  uint32_t outgoing_streams = 0, incoming_streams = 0;

  Rail& rail_of(uint32_t message) const { return *rails[message % rails.size()]; }
  const Cut& cut() const { return rails.front()->cut(); }
};

}  // namespace railyard
