// Faults as rules of the pass-through library.
#pragma once

#include <string>

#include "railyard/scenario.h"

namespace railyard::harness {

// Why hosts cannot have this fault, in words; empty: they can. Whether somebody's hand is there is
// asked elsewhere.
std::string obstacle_on_hosts(const FaultPlan& plan);

// Whether the fault moves plugs: then it is made by a command or by hand.
bool moves_plugs(const FaultPlan& plan);

// Which send of its first end is the nth message of a cable: of both directions, about every second.
inline uint64_t nth_send(const Trigger::AtMessage& at) {
  return at.from_end < 0 ? (at.nth + 1) / 2 : at.nth;
}

// The rank and the port ("node0/rdma_en3") at one end of a cable.
struct CableEnd {
  int rank = 0;
  std::string port;
};
CableEnd cable_end(const Scenario& scenario, const std::string& cable, int end);

}  // namespace railyard::harness
