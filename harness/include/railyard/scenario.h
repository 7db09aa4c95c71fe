// A scenario: what a JSON file asks for, read and checked.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "railyard/fabric.h"
#include "railyard/fault_plan.h"
#include "railyard/input_error.h"

namespace railyard::harness {

// Names of devices: matrix[i][j] are the rails from rank i to rank j, rail k of (i, j) and rail k
// of (j, i) being the two ends of one cable.
using DeviceMatrix = std::vector<std::vector<std::vector<std::string>>>;

struct Cluster {
  fabric::ClusterSpec spec;
  int ranks = 0;                          // one per node
  std::optional<fabric::LinkModel> link;  // of every cable, outwards from each device
};

struct GroupPlan {
  std::string backend = "any";  // mesh, ring, tcp, tcp-ring, local or any
  std::optional<Nanoseconds> deadline;
  std::optional<int> rails;            // at most so many per pair
  std::optional<DeviceMatrix> matrix;  // instead of the one that the cables give
};

// A variable of the ranks' environment that is not as the harness would have it.
struct VariablePlan {
  std::string name;
  std::optional<std::string> value;  // none: unset
  bool is_file = false;              // the variable names a file with this value as its text
};

// One entry of the workload; its further keys are the worker's.
struct OperationPlan {
  std::string name;
  uint64_t repeat = 1;
};

struct RankExpectation {
  std::optional<std::string> error;  // the error's code; "none": it must not fail
  std::optional<int> exit;           // exit code
  std::optional<int> signal;         // ended by this signal
};

struct Expectation {
  std::vector<std::string> verdicts = {"ok"};  // one of them
  std::vector<std::string> verdict_names;      // cables, devices, ranks that the verdict must name
  std::map<int, RankExpectation> ranks;        // -1: every rank without an entry of its own
  std::optional<Nanoseconds> within;           // from the start of the ranks to the verdict
  // Whether a run that ends well must have read every message that came. Unsaid: ranks of
  // ours must; libraries with flow control of their own often leave the last credits.
  std::optional<bool> all_read;

  bool met_by(const std::string& verdict) const;
  std::string verdict_text() const;  // "ok or peer-dead"
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
  std::vector<VariablePlan> environment;
  uint64_t seed = 1;
  bool twin = false;  // made from the "healthy" of another
  std::vector<FaultPlan> faults;
  Expectation expect;
};

// Reads and checks a scenario; nothing is started. What its faults leave to chance is drawn from
// `seed`, or else from the scenario's own. Throws InputError.
Scenario load_scenario(const std::string& file, std::optional<uint64_t> seed = {});
// The scenarios of a file: itself and, where it says "healthy", the twin that must pass.
std::vector<Scenario> load_scenarios(const std::string& file, std::optional<uint64_t> seed = {});
// The same as the first from text; `file` is used in messages and to find files named beside it.
Scenario parse_scenario(const std::string& file, const std::string& text,
                        std::optional<uint64_t> seed = {});

// Reads and checks a cluster: a scenario's "cluster" object in a file of its own. Throws
// InputError.
Cluster load_cluster(const std::string& file);

// "latency=5us,bandwidth=5GB/s,loss=0.01". Throws InputError.
fabric::LinkModel parse_link(const std::string& text);

// Shapes a fabric's cables as the cluster says.
void shape_links(fabric::Fabric& fabric, const Cluster& cluster);

// Reads a JACCL device matrix for `ranks` ranks. Throws InputError.
DeviceMatrix load_matrix(const std::string& file, int ranks);
DeviceMatrix parse_matrix(const std::string& file, const std::string& text, int ranks);
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
std::vector<Host> parse_hostfile(const std::string& file, const std::string& text);

// Every scenario in the files and directories given (recursively: *.json, but not *.schema.json and
// other dotted kinds such as x.cluster.json), in order of name. Throws InputError.
std::vector<std::string> find_scenarios(const std::vector<std::string>& paths);

// Where scenarios are when none is named: scenarios/ here, or else those that were installed.
std::string default_scenarios();

// The JSON Schema of scenario files.
const char* scenario_schema();

}  // namespace railyard::harness
