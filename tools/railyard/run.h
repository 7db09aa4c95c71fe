// The `run`, `report` and `audit` commands.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "outputs.h"
#include "railyard/hosts.h"

namespace railyard::cli {

// Exit codes of the program.
inline constexpr int kMet = 0;       // all expectations met
inline constexpr int kNotMet = 1;    // some not met
inline constexpr int kBadInput = 2;  // nothing was started
inline constexpr int kBroken = 3;    // the harness itself failed

// One part of a suite that is cut into `count`: part `index`, from 1.
struct Shard {
  size_t index = 1, count = 1;
};

struct RunCommand {
  std::vector<std::string> paths;  // empty: scenarios/
  Outputs outputs;
  harness::HostOptions hosts;  // without a file: a simulated cluster
  std::optional<uint64_t> seed;
  std::string program;  // instead of the program that scenarios name
  Shard shard;
  int jobs = 1;  // scenarios at a time
  bool keep = false;
  bool verbose = false;
};

// A signal's number once the user wants to stop.
extern std::atomic<int> interrupted;

int run(const RunCommand& command);

// What these runs make the program return.
int exit_code(const std::vector<harness::RunReport>& reports);

struct MergeCommand {
  std::vector<std::string> files;  // JSON reports
  Outputs outputs;
};

// `railyard report merge`: the reports of a suite's shards as one.
int merge(const MergeCommand& command);

struct AuditCommand {
  std::vector<std::string> paths;  // empty: scenarios/known-bugs
  std::optional<uint64_t> seed;
  uint64_t repeat = 1;  // times, each with the next seed
};

// Runs scenarios and their healthy twins, and prints what was caught, missed or a false alarm.
int audit(const AuditCommand& command);

}  // namespace railyard::cli
