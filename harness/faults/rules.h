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

// The rank and the port ("node0/rdma_en3") at one end of a cable.
struct CableEnd {
  int rank = 0;
  std::string port;
};
CableEnd cable_end(const Scenario& scenario, const std::string& cable, int end);

}  // namespace railyard::harness
