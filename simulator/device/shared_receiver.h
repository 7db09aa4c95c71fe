#pragma once

#include "device/context.h"
#include "device/queue_pair.h"

namespace railyard::sim {

// While it lives, nobody else changes an XRC receiver's record, and this handle knows what it says.
// Turns may lie inside each other. Of other queue pairs, which nobody shares, it is nothing.
class QueuePair::Turn {
 public:
  explicit Turn(QueuePair& pair) : pair_(pair) {
    if (!pair.shared_receiver() || pair.turns_++ != 0) return;
    fabric::RobustLock::take(pair.segment(), pair.record_.lock, pair.owner_.attachment().process());
    pair.refresh();
  }
  ~Turn() {
    if (!pair_.shared_receiver() || --pair_.turns_ != 0) return;
    pair_.shared_ = nullptr;  // it may be gone by the next
    fabric::RobustLock::give_back(pair_.record_.lock);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  QueuePair& pair_;
};

}  // namespace railyard::sim
