// Who reaches whom: cables, switches, addresses.
#pragma once

#include <array>
#include <cstdint>

#include "fabric/segment.h"

namespace railyard::fabric {

using RawGid = std::array<uint8_t, 16>;

// The port with this address, or layout::kNowhere.
int32_t port_with_gid(const Segment& segment, const RawGid& gid);
int32_t port_with_lid(const Segment& segment, uint16_t lid);

// The cable plugged into a port (whether or not its other end is), or kNowhere.
int32_t cable_of(const Segment& segment, int32_t port);

// Whether what leaves one port arrives at the other now: over one cable, through one switch, or
// because they are the same port; and neither device is broken.
bool reaches(const Segment& segment, int32_t from, int32_t to);

// When the device of a port broke, in ticks; 0 if it has not.
uint64_t broken_since(const Segment& segment, int32_t port);

// The directions of cables that lead from one port to another now; returns how many (0 to 2).
struct Hop {
  uint32_t cable;
  int from_end;
};
int hops_between(const Segment& segment, int32_t from, int32_t to, Hop out[2]);

// Whether the port's link is up.
bool port_active(const Segment& segment, int32_t port);

}  // namespace railyard::fabric
