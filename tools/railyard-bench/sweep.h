// One side of a benchmark: runs an operation over a range of sizes, checks its results and times
// it. Knows nothing of the library that it measures; each program gives it a Contestant.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace railyard::bench {

// The library under measurement, seen from one rank. Calls block.
class Contestant {
 public:
  virtual ~Contestant() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void barrier() = 0;
  // The largest of all ranks' values, on all ranks.
  virtual double maximum(double value) = 0;
  // Runs the operation once. `bytes` is its size as the tables give it: the whole array for
  // all_sum, all_max, all_min and broadcast, all ranks' shares together for the others.
  virtual void run(const void* input, void* output, size_t bytes) = 0;
};

// What a program is asked to measure.
struct Sweep {
  std::string operation = "all_sum";
  std::string dtype = "float32";
  size_t least_bytes = 4, most_bytes = 64 << 20;
  size_t factor = 4;      // from one size to the next
  double seconds = 0.15;  // for each size, about

  // From the words that `railyard bench` starts the programs with: "--op=all_sum --dtype=float32
  // --min=4 --max=1024 --factor=2 --seconds=0.1". Throws std::invalid_argument.
  static Sweep from_arguments(int argc, char** argv);
};

// Runs it. Rank 0 prints a line for each size: "row BYTES COUNT MEDIAN_US LEAST_US WRONG", the
// times those of the slowest rank, WRONG the number of elements that differ from what they must be.
// Returns whether there were none.
bool measure(const Sweep& sweep, Contestant& contestant);

}  // namespace railyard::bench
