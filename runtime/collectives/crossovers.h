// Where one way of doing an operation becomes faster than another. Measured with `railyard bench`
// on the simulator; README.md has the figures.
#pragma once

#include <cstddef>

#include "transport/message.h"

namespace railyard {

// Where more than two ranks of a mesh share a processor, one of them combines up to so many bytes:
// each message may mean a switch, and that way there are the fewest.
inline constexpr size_t kMeshStar = 64 << 10;

// Else a mesh of 2, 4, 8, 16, ... ranks combines up to so many bytes by doubling: log2(size)
// exchanges with one rank each instead of one with all.
inline constexpr size_t kMeshDoubling = kSmallRun;

// A mesh of three or more combines larger arrays in two phases, where each rank does its share of
// the sum and sends it to all. Two ranks exchange what they have, in half the steps, until doing half
// the sum saves more than a step costs.
inline constexpr size_t kMeshOnePhase = kSmallPayload;
inline constexpr size_t kPairOnePhase = 1 << 20;

// A ring of three or more sends so many bytes round as they are, for every rank to combine; more
// are combined on the way, and from the second size on they go both ways.
inline constexpr size_t kRingGather = kSmallPayload;
inline constexpr size_t kRingBothWays = 64 << 10;

// Buffers from here on are lent to the device for the time of an operation; smaller ones are copied
// through the slab.
inline constexpr size_t kLend = 64 << 10;

}  // namespace railyard
