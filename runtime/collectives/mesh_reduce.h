// Reductions of a mesh.
#pragma once

#include "collectives/mesh_exchange.h"
#include "collectives/parts.h"

namespace railyard::mesh {

// Combines what comes from all peers, row by row, in the order of ranks.
class Rows : public Exchange {
 protected:
  using Exchange::Exchange;

  // Whether the next message of every peer is here.
  bool row_is_here();
  // Where what comes from the peer that is added next may lie before it is combined: of the first
  // one where the result goes, which is then in the cache when it is written.
  std::byte* first_place(std::byte* output) const;
  // Whether this message has left for every peer.
  bool row_has_left(uint32_t message) const;
  // out = `own` and every peer's next message, which it takes, combined.
  void combine_row(std::byte* out, const std::byte* own, size_t bytes);

 private:
  std::vector<std::byte> own_copy_;
};

// Everyone sends every peer its share, which is all of the input for all_sum and one chunk of it
// for sum_scatter.
class OnePhase : public Rows {
 public:
  OnePhase(Engine& engine, int rank, int size, const Call& call);
  bool step();

 private:
  const std::byte* own_;
  bool overwrites_;  // what is to be sent
};

// Each rank combines one part (reduce-scatter) and sends it to all (all-gather).
class TwoPhases : public Rows {
 public:
  TwoPhases(Engine& engine, int rank, int size, const Call& call);
  bool step();

 private:
  bool combining() const;
  void gather(InStream& in, const Part& part);

  Part mine_;
  List<Part> parts_;               // of the peers
  List<uint32_t> first_messages_;  // to each peer: messages of the first phase
  uint32_t rows_ = 0;              // messages of this rank's part that are combined
};

}  // namespace railyard::mesh
