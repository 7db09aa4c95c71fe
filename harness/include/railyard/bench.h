// Tables of latency and bandwidth: the runtime's operations on a simulated cluster.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "railyard/scenario.h"

namespace railyard::harness {

struct BenchOptions {
  std::string operation = "all_sum";
  int ranks = 2;
  std::string profile = "permissive";
  std::string cluster_file;        // instead of the profile's default cluster
  std::optional<Cluster> cluster;  // instead of either
  int rails = 1;                   // cables of the default cluster between two nodes
  std::string link;                // see parse_link(); empty: as the cluster says
  std::string backend = "any";
  std::string dtype = "float32";
  std::string least = "4B", most = "64MiB";  // sizes; see parse_bytes()
  int factor = 4;                            // from one size to the next
  double seconds = 0.15;                     // that each size is measured, about
  // "mpi", "one-rail" (the same on no more than one cable to each peer), or nobody.
  std::string against;
  int rounds = 0;                            // 0: one, or three in turns with a peer
  const std::atomic<int>* interrupt = nullptr;
};

// What `railyard bench` can measure.
const std::vector<std::string>& bench_operations();

// Measures and prints the table. The exit code: 0, 1 when a rank failed or a result was wrong, 128
// + n for signal n. Throws InputError, or std::runtime_error.
//
// With a peer the two are measured by turns, and the last columns say how many times faster the
// runtime is: by the median time, and by the least one.
int bench(const BenchOptions& options);

}  // namespace railyard::harness
