#include "fabric/topology.h"

#include <cstring>

namespace railyard::fabric {

using namespace layout;

namespace {

struct Side {
  int32_t cable = kNowhere;
  int end = 0;
};

Side side_of(const Segment& segment, int32_t port) {
  for (uint32_t i = 0; i < segment.header().cable_count; ++i) {
    for (int end : {0, 1}) {
      if (segment.cable(i).ends[end].port.load(std::memory_order_acquire) == port) {
        return {static_cast<int32_t>(i), end};
      }
    }
  }
  return {};
}

struct FarEnd {
  int32_t port = kNowhere;
  int32_t switch_index = kNowhere;
};

FarEnd far_end(const Segment& segment, int32_t port) {
  Side side = side_of(segment, port);
  if (side.cable == kNowhere) return {};
  const Cable& cable = segment.cable(static_cast<uint32_t>(side.cable));
  if (!cable.plugged.load(std::memory_order_acquire)) return {};
  const Plug& plug = cable.ends[1 - side.end];
  return {plug.port.load(std::memory_order_acquire), plug.switch_index.load(std::memory_order_acquire)};
}

}  // namespace

int32_t port_with_gid(const Segment& segment, const RawGid& gid) {
  for (uint32_t i = 0; i < segment.header().port_count; ++i) {
    for (const Gid& own : segment.port(i).gids) {
      if (own.present && memcmp(own.raw, gid.data(), gid.size()) == 0) {
        return static_cast<int32_t>(i);
      }
    }
  }
  return kNowhere;
}

int32_t port_with_lid(const Segment& segment, uint16_t lid) {
  // LIDs are given out in the order of the ports, from 1; see build.cpp.
  return lid >= 1 && lid <= segment.header().port_count && segment.port(lid - 1u).lid == lid
             ? lid - 1
             : kNowhere;
}

int32_t cable_of(const Segment& segment, int32_t port) { return side_of(segment, port).cable; }

uint64_t broken_since(const Segment& segment, int32_t port) {
  return segment.device(segment.port(static_cast<uint32_t>(port)).device).failed_ticks.load();
}

bool reaches(const Segment& segment, int32_t from, int32_t to) {
  if (from < 0 || to < 0 || broken_since(segment, from) || broken_since(segment, to)) return false;
  if (from == to) return true;
  FarEnd far = far_end(segment, from);
  if (far.port != kNowhere) return far.port == to;
  if (far.switch_index == kNowhere) return false;
  return far_end(segment, to).switch_index == far.switch_index;
}

int hops_between(const Segment& segment, int32_t from, int32_t to, Hop out[2]) {
  if (from == to || !reaches(segment, from, to)) return 0;
  Side near = side_of(segment, from), far = side_of(segment, to);
  out[0] = {static_cast<uint32_t>(near.cable), near.end};
  if (near.cable == far.cable) return 1;
  out[1] = {static_cast<uint32_t>(far.cable), 1 - far.end};
  return 2;
}

bool port_active(const Segment& segment, int32_t port) {
  FarEnd far = far_end(segment, port);
  return far.port != kNowhere || far.switch_index != kNowhere;
}

}  // namespace railyard::fabric
