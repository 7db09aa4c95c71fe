// Reductions of a ring.
#pragma once

#include "collectives/parts.h"
#include "collectives/ring_flow.h"

namespace railyard::ring {

// A piece on its way round: where it lies in the input, and where the combined data go.
struct Station {
  Part part;
  std::byte* target = nullptr;
  bool combined = true;  // with this rank's own input; or just kept
};

// Each step takes a piece from the rank before, combines it with this rank's own and passes it on;
// what the last step yields stays here.
class Combining : public Flow {
 public:
  Combining(const Way& way, const Call& call, const Part& first, const List<Station>& stations);
  bool step();

 private:
  List<Station> stations_;
};

// all_sum, all_max, all_min: rank r begins with part r; after size-1 steps part r+1 is complete
// here, and the completed parts then go round the same way. Part p is combined in the order p,
// p+1, ...
Combining reduce_parts(const Way& way, const Call& call, const Slice& slice);

// sum_scatter: rank r begins with chunk r-1; after size-1 steps chunk r is complete here.
// `scratch`, a chunk long, takes the partial sums that pass through.
Combining reduce_chunks(const Way& way, const Call& call, const Slice& slice, std::byte* scratch);

}  // namespace railyard::ring
