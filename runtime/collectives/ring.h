// Collectives of a ring: every rank has rails to its right and its left neighbour, which are the
// same one in a ring of two.
#pragma once

#include "transport/engine.h"

namespace railyard::ring {

inline int right_of(int rank, int size) { return (rank + 1) % size; }
inline int left_of(int rank, int size) { return (rank + size - 1) % size; }

// Small sums: every rank's data goes round once and is added in the order of ranks everywhere.
// Larger ones: reduce-scatter, then all-gather, both round the ring; part p is added in the order
// p, p+1, ... `input` may be `output`.
void all_sum(Engine& engine, int rank, int size, const void* input, void* output, size_t bytes,
             Dtype dtype);

void barrier(Engine& engine, int rank, int size);

}  // namespace railyard::ring
