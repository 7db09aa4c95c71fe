// The `topology` commands: make, check, draw, discover, predict.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace railyard::cli {

// Adds the command and its own commands to the program's. `action` gets what is to be done once the
// command line has been read, and gives the exit code; `starts_processes` whether that starts processes.
struct TopologyCommand {
  std::function<int()> action;
  bool starts_processes = false;
};
void add_topology(CLI::App& app, TopologyCommand& command);

}  // namespace railyard::cli
