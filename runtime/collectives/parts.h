// How arrays are divided among ranks, and how their elements are combined.
#pragma once

#include <cstddef>
#include <cstring>

#include "collectives/collectives.h"
#include "collectives/crossovers.h"
#include "reduce/extremum.h"
#include "reduce/reduce.h"

namespace railyard {

// A piece of a buffer.
struct Part {
  size_t offset = 0, bytes = 0;
};

// Part `index`, counted modulo `size`, of an array: whole elements, almost the same number in each.
inline Part part_of(int index, int size, size_t bytes, size_t element) {
  index = ((index % size) + size) % size;
  size_t count = bytes / element;
  auto at = [&](int i) {
    return count * static_cast<size_t>(i) / static_cast<size_t>(size) * element;
  };
  return {at(index), at(index + 1) - at(index)};
}

// Chunk `index`, counted modulo `size`, of a buffer with one chunk for each rank.
inline Part chunk_of(int index, int size, size_t bytes) {
  index = ((index % size) + size) % size;
  return {static_cast<size_t>(index) * bytes, bytes};
}

inline void copy(std::byte* to, const std::byte* from, size_t bytes) {
  if (bytes > 0 && to != from) std::memcpy(to, from, bytes);
}

// Lends a buffer to the engine's devices if that is worth while: one that is received into,
inline void lend(Engine& engine, std::byte* data, size_t bytes) {
  if (bytes >= kLend) engine.lend(data, bytes);
}
// or one that is sent from alone.
inline void lend(Engine& engine, const std::byte* data, size_t bytes) {
  // Devices only read that; registered memory is never const.
  if (engine.sends_in_place()) lend(engine, const_cast<std::byte*>(data), bytes);
}

// out = a and b combined as the call's operation says.
inline void combine(const Call& call, std::byte* out, const std::byte* a, const std::byte* b,
                    size_t bytes) {
  switch (call.kind) {
    case OperationKind::all_max:
      return maximum(out, a, b, bytes, call.dtype);
    case OperationKind::all_min:
      return minimum(out, a, b, bytes, call.dtype);
    default:
      return sum(out, a, b, bytes, call.dtype);
  }
}

}  // namespace railyard
