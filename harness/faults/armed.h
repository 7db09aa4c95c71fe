// Faults that the fabric fires by itself once they are armed.
#pragma once

#include "faults/action.h"

namespace railyard::harness {

class ArmedAction : public Action {
 public:
  using Action::Action;

  void tick(const fabric::Snapshot& now) override { look(now); }
  void conclude(const fabric::Snapshot& after) override { look(after); }

 protected:
  void look(const fabric::Snapshot& snapshot) {
    for (const fabric::FaultView& view : snapshot.faults) {
      if (armed_ < 0 || view.id != armed_ || view.fired == 0) continue;
      fired_ = changed_ = true;
      at_ns_ = view.first_fired_ns;
      evidence_ = view.evidence;
    }
  }

  int armed_ = -1;  // its number in the fabric
};

}  // namespace railyard::harness
