// What breaks the side channel between the ranks and rank 0.
#pragma once

#include <chrono>
#include <cstdint>

namespace railyard::harness {

// A rank of -1 means all of them. Thread-safe.
class SideChannel {
 public:
  struct Counts {
    uint64_t accepted = 0;        // connections
    uint64_t cut = 0;             // of them, broken off by cut()
    uint64_t withheld_bytes = 0;  // read while hanging; they pass when it ends
    uint64_t withheld_ends = 0;   // closed by one side while hanging
    uint64_t delayed = 0;         // pieces that waited
  };

  virtual ~SideChannel() = default;

  // Connections are refused, as if nobody listened.
  virtual void refuse(int rank, bool on) = 0;
  // Resets the connections there are.
  virtual void cut(int rank) = 0;
  // Nothing passes any more, not even the end of a connection: half-open.
  virtual void hang(int rank, bool on) = 0;
  // Every piece of data waits so long first.
  virtual void slow(int rank, std::chrono::nanoseconds delay) = 0;

  virtual Counts counts(int rank) const = 0;
  // Whether a delayed piece waits now.
  virtual bool delaying() const = 0;
};

}  // namespace railyard::harness
