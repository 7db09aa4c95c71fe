// A scenario: what a JSON file asks for, read and checked.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "railyard/fabric.h"
#include "railyard/input_error.h"

namespace railyard::harness {

using Nanoseconds = std::chrono::nanoseconds;

// Names of devices: matrix[i][j] are the rails from rank i to rank j, rail k of (i, j) and rail k
// of (j, i) being the two ends of one cable.
using DeviceMatrix = std::vector<std::vector<std::vector<std::string>>>;

struct Cluster {
  fabric::ClusterSpec spec;
  int ranks = 0;  // one per node
  std::optional<fabric::LinkModel> link;  // of every cable, outwards from each device
};

struct GroupPlan {
  std::string backend = "any";  // mesh, ring or any
  std::optional<Nanoseconds> deadline;
  std::optional<int> rails;            // at most so many per pair
  std::optional<DeviceMatrix> matrix;  // instead of the one that the cables give
};

// One entry of the workload; its further keys are the worker's.
struct OperationPlan {
  std::string name;
  uint64_t repeat = 1;
};

// When a fault fires. Exactly one of the three is set.
struct Trigger {
  std::optional<Nanoseconds> after;  // since the ranks were started
  struct AtOperation {
    int rank = 0;
    uint32_t operation = 0;  // index into the workload
    uint32_t iteration = 0;  // the fault fires before this iteration begins
  };
  std::optional<AtOperation> at_operation;
  struct AtVerb {
    int rank = 0;
    std::string verb;
    uint64_t nth = 1;  // counted from 1
    uint64_t times = 1;
  };
  std::optional<AtVerb> at_verb;
  std::string text;  // for people: "rank 0 before iteration 50 of all_sum"
};

enum class FaultKind {
  cable_unplug,
  cable_plug,
  cable_swap,
  receive_delay_until_arrival,
  verb_fail,
  verb_block,
  verb_delay,
  rank_kill,
  rank_stop,
  rank_resume,
};

enum class FaultOutcome { fired, did_not_fire, no_change };

struct FaultPlan {
  FaultKind kind = FaultKind::cable_unplug;
  std::string name;  // "cable.swap"
  Trigger when;
  std::vector<std::string> cables;
  std::string node;         // the end at which cables are swapped
  int rank = -1;            // whom a rank fault strikes
  int error_number = 0;     // verb.fail
  Nanoseconds duration{0};  // verb.delay; rank.stop: until it is resumed, 0: for good
  FaultOutcome expected = FaultOutcome::fired;
};

struct RankExpectation {
  std::optional<std::string> error;  // the error's code; "none": it must not fail
  std::optional<int> exit;           // exit code
  std::optional<int> signal;         // ended by this signal
};

struct Expectation {
  std::string verdict = "ok";
  std::vector<std::string> verdict_names;  // cables, devices, ranks that the verdict must name
  std::map<int, RankExpectation> ranks;    // -1: every rank without an entry of its own
  std::optional<Nanoseconds> within;       // from the start of the ranks to the verdict
};

struct Scenario {
  std::string file;
  std::string name;  // the file's name without .json
  std::string summary;
  std::vector<std::string> references;
  Cluster cluster;
  GroupPlan group;
  std::vector<OperationPlan> operations;
  std::string workload_json;         // the workload as it was written
  std::vector<std::string> program;  // instead of the worker
  std::string worker = "railyard-rank";
  std::string variant;
  uint64_t seed = 1;
  std::vector<FaultPlan> faults;
  Expectation expect;
};

// Reads and checks a scenario; nothing is started. Throws InputError.
Scenario load_scenario(const std::string& file);
// The same from text; `file` is used in messages and to find files named beside it.
Scenario parse_scenario(const std::string& file, const std::string& text);

// Reads and checks a cluster: a scenario's "cluster" object in a file of its own. Throws
// InputError.
Cluster load_cluster(const std::string& file);

// "latency=5us,bandwidth=5GB/s,loss=0.01". Throws InputError.
fabric::LinkModel parse_link(const std::string& text);

// Shapes a fabric's cables as the cluster says.
void shape_links(fabric::Fabric& fabric, const Cluster& cluster);

// Reads a JACCL device matrix for `ranks` ranks. Throws InputError.
DeviceMatrix load_matrix(const std::string& file, int ranks);
// The matrix that a cluster's cables give, at most `rails` (0: all) per pair.
DeviceMatrix matrix_of(const fabric::ClusterSpec& spec, int rails);
// As the JSON text that JACCL reads.
std::string matrix_text(const DeviceMatrix& matrix);

struct Host {
  std::string ssh;
  std::vector<std::string> ips;
  std::vector<std::vector<std::string>> rdma;  // per peer, empty: none
};
// Reads and checks an MLX hostfile. Throws InputError naming the cell.
std::vector<Host> load_hostfile(const std::string& file);

// Every scenario in the files and directories given (recursively: *.json, but not *.schema.json and
// other dotted kinds such as x.cluster.json), in order of name. Throws InputError.
std::vector<std::string> find_scenarios(const std::vector<std::string>& paths);

// The JSON Schema of scenario files.
const char* scenario_schema();

}  // namespace railyard::harness
