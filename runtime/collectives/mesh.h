// Collectives of a mesh: every rank has a rail to every other one.
#pragma once

#include "transport/engine.h"

namespace railyard::mesh {

// One phase up to a bound, or with two ranks: everyone sends all to everyone. Beyond: each rank
// sums one part (reduce-scatter) and sends it to all (all-gather). Either way sums are formed in
// the order of ranks. `input` may be `output`.
void all_sum(Engine& engine, int rank, int size, const void* input, void* output, size_t bytes,
             Dtype dtype);

void barrier(Engine& engine, int rank, int size);

}  // namespace railyard::mesh
