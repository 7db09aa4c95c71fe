// A way round a ring. On the way to the left the ranks are numbered the other way round, so every
// algorithm is written once, for the way to the right.
#pragma once

#include "collectives/collectives.h"

namespace railyard::ring {

class Way {
 public:
  static Way rightwards(Engine& engine, int rank, int size) { return {engine, rank, size, false}; }
  static Way leftwards(Engine& engine, int rank, int size) {
    return {engine, (size - rank) % size, size, true};
  }

  Engine& engine() const { return engine_; }
  // In this way's numbering, from which number() leads back to the group's.
  int rank() const { return rank_; }
  int size() const { return size_; }
  int number(int rank) const {
    rank = (rank % size_ + size_) % size_;
    return leftwards_ ? (size_ - rank) % size_ : rank;
  }

  Link& next() const { return engine_.link(number(rank_ + 1)); }
  Link& previous() const { return engine_.link(number(rank_ - 1)); }

 private:
  Way(Engine& engine, int rank, int size, bool leftwards)
      : engine_(engine), rank_(rank), size_(size), leftwards_(leftwards) {}

  Engine& engine_;
  int rank_, size_;
  bool leftwards_;
};

// What goes this way: a part of the array, or of every rank's chunk.
struct Slice {
  size_t offset = 0, bytes = 0;
};

// Both ways at once.
template <typename Operation>
struct BothWays {
  Operation right, left;

  const char* name() const { return right.name(); }
  const Rail* waits_for() {
    const Rail* rail = right.waits_for();
    return rail ? rail : left.waits_for();
  }
  bool step() {
    bool right_done = right.step();
    return left.step() && right_done;
  }
};

}  // namespace railyard::ring
