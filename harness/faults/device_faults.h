// Faults of devices that are not the fabric's: made by rules of the library in front of the
// device's own, or by hand.
#pragma once

#include <cstdint>
#include <string>

#include "railyard/fault_plan.h"

namespace railyard::harness {

class DeviceFaults {
 public:
  struct Rule {
    int rank = -1;
    int number = -1;  // -1: there is no such rule
  };
  struct Firings {
    uint64_t seen = 0, fired = 0;
    int64_t first_ns = 0;  // on the fabric's clock
  };

  virtual ~DeviceFaults() = default;

  // A rule in the language of simulator/passthrough, for a rank that was not started yet.
  virtual Rule add(int rank, const std::string& rule) = 0;
  // A rule that says "later" counts from now on.
  virtual void arm(const Rule& rule) = 0;
  // What a "block" holds goes on.
  virtual void release(const Rule& rule) = 0;
  virtual Firings firings(const Rule& rule) const = 0;

  // The device, as the rank's host calls it, that a scenario calls "node0/rdma_en3".
  virtual std::string device(const std::string& port) const = 0;

  // Lets connections to a GID that a device ("node0/rdma_en3") is told to have, and has not, reach
  // it all the same; the row of its own table that stands for it, -1: it has none.
  virtual int lead(const std::string& gid, const std::string& port) = 0;

  // Has a cable's state changed, by a command or by somebody's hand; returns when that is
  // confirmed. What was done and by whom, in words; `done` false: nobody did it.
  virtual std::string by_hand(const FaultPlan& plan, const std::string& what, bool& done) = 0;
  // What the devices themselves have shown of cables that moved, in words.
  virtual std::string shown(const FaultPlan& plan) const = 0;
};

}  // namespace railyard::harness
