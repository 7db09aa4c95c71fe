// The rails to one peer, and which of them carries what. Small messages take them in turn: message
// m goes over rail m modulo their number, which both sides know without a word. A large message
// goes where its receiver grants it: so a slow rail gets few, and the others do not wait for it.
#pragma once

#include <vector>

#include "transport/rail.h"
#include "transport/striping.h"

namespace railyard {

struct Link {
  int peer = -1;
  std::vector<Rail*> rails;  // empty: there is none to this rank
  // Streams so far, in each direction; see MessageHeader.
  uint32_t outgoing_streams = 0, incoming_streams = 0;
  Striping striping;  // of what comes in

  const Cut& cut() const { return rails.front()->cut(); }

  // The rail of a message; of a large one that nobody has granted yet: null.
  Rail* rail_to_send(uint32_t message, bool large) const {
    return large ? carrier(message, &Rail::next_to_go) : in_turn(message);
  }
  Rail* rail_to_receive(uint32_t message, bool large) const {
    return large ? carrier(message, &Rail::next_to_come) : in_turn(message);
  }
  Rail* in_turn(uint32_t message) const { return rails[message % rails.size()]; }

 private:
  Rail* carrier(uint32_t message, uint32_t (Rail::*next)() const) const {
    if (rails.size() == 1) return rails.front();
    for (Rail* rail : rails) {
      if ((rail->*next)() == message) return rail;
    }
    return nullptr;
  }
};

}  // namespace railyard
