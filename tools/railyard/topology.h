// The `topology` commands: make, check, draw, predict.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace railyard::cli {

// Adds the command and its own commands to the program's. `action` gets what is to be done once the
// command line has been read, and gives the exit code; `runs_ranks` whether it starts any.
struct TopologyCommand {
  std::function<int()> action;
  bool runs_ranks = false;
};
void add_topology(CLI::App& app, TopologyCommand& command);

}  // namespace railyard::cli
