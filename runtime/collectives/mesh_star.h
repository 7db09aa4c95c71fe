// Reductions of a crowded mesh by one rank, the centre: all others send it what they have,
// and it sends them the result. That is two steps for any number of ranks, and the fewest messages
// there can be: what counts where many ranks share a processor, as each message may mean a switch.
#pragma once

#include "collectives/mesh_reduce.h"

namespace railyard::mesh {

class Star : public Rows {
 public:
  // The buffers are not lent: a message has left its place once it is posted.
  Star(Engine& engine, int rank, int size, const Call& call);

  const Rail* only_rail() { return small_ ? waits_for() : nullptr; }
  bool step();

 private:
  static constexpr int kCentre = 0;

  bool at_centre() const { return rank_ == kCentre; }
  void combine_rows();
  void take_result();

  const bool small_;   // the array goes as small messages
  uint32_t rows_ = 0;  // messages of the result that are formed
};

}  // namespace railyard::mesh
