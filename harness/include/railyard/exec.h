// Any verbs program as the ranks of a simulated cluster.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "railyard/scenario.h"

namespace railyard::harness {

struct ExecOptions {
  int ranks = 1;
  // The command starts the ranks itself (mpirun, srun): it is run once, and the process that it
  // gives number r is on node r modulo `ranks`.
  bool launcher = false;
  std::string profile = "permissive";
  std::string cluster_file;        // instead of the profile's default cluster
  std::optional<Cluster> cluster;  // instead of either
  std::string link;                // see parse_link(); empty: as the cluster says
  GroupPlan group;                 // of programs that make one: which backend, how many rails
  std::vector<std::string> command;
  // Takes the lines of the ranks' standard output instead of the terminal.
  std::function<void(const std::string& line)> listener;
  // A program of Railyard's own needs no view of the system's device files.
  bool own_program = false;
  const std::atomic<int>* interrupt = nullptr;  // a signal's number once the user wants to stop
};

// Runs it to the end and returns the exit code: the first rank's that is not 0; 128 + n for signal
// n. Throws InputError, or std::runtime_error.
//
// Placeholders in the arguments: {rank}, {size}, {node} (the node's name), {port} (a free TCP port,
// the same for all) and {peer}. A pair of client and server is started so: rank 0 runs without the
// arguments that contain {peer}; the others get 127.0.0.1 there, and start when rank 0 listens on a
// TCP port or has ended. Without {peer}, all start at once.
int exec_program(const ExecOptions& options);

// The arguments of one rank, placeholders replaced.
std::vector<std::string> arguments_of(const std::vector<std::string>& arguments, int rank, int size,
                                      const std::string& node, int port);

// Looks at what a run needs and says it line by line; sweeps what killed runs left. Returns whether
// all is well.
bool doctor(std::string& text);

}  // namespace railyard::harness
