#include "railyard/bench.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "platform/executable.h"
#include "programs/output.h"
#include "railyard/exec.h"
#include "railyard/input_error.h"
#include "railyard/nearest.h"
#include "railyard/process.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

// A line of the table, from one side.
struct Row {
  size_t count = 0;
  std::vector<double> medians_us;  // of each round
  double least_us = 0;
  double wrong = 0;

  double median_us() const {
    std::vector<double> sorted = medians_us;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

// What one side has measured, by size.
class Side {
 public:
  // Takes a line of rank 0 (see railyard-bench/sweep.h).
  void hear(const std::string& line) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "backend") {
      std::getline(words >> std::ws, backend);
    } else if (word == "row") {
      size_t bytes = 0, count = 0;
      double median = 0, least = 0, wrong = 0;
      words >> bytes >> count >> median >> least >> wrong;
      Row& row = rows[bytes];
      row.count = count;
      row.least_us = row.medians_us.empty() ? least : std::min(row.least_us, least);
      row.medians_us.push_back(median);
      row.wrong += wrong;
    } else {
      fmt::print(stderr, "{}\n", line);
    }
  }

  std::map<size_t, Row> rows;
  std::string backend;
};

// How many bytes cross the slowest link for each byte of the operation, as nccl-tests counts them.
double bus_factor(const std::string& operation, int ranks) {
  double others = static_cast<double>(ranks - 1) / ranks;
  if (operation == "all_sum" || operation == "all_max" || operation == "all_min") return 2 * others;
  if (operation == "all_gather" || operation == "sum_scatter" || operation == "all_to_all") {
    return others;
  }
  return 1;
}

class Bench {
 public:
  explicit Bench(const BenchOptions& options) : options_(options), cluster_(options.cluster) {
    uint64_t least = bytes_of("--min", options.least), most = bytes_of("--max", options.most);
    if (least == 0 || least > most) {
      throw InputError("railyard bench", "--min", "must be above 0 and not above --max");
    }
    arguments_ = {"--op=" + options.operation,
                  "--dtype=" + options.dtype,
                  fmt::format("--min={}", least),
                  fmt::format("--max={}", most),
                  fmt::format("--factor={}", options.factor),
                  fmt::format("--seconds={}", options.seconds)};
    worker_ = find_worker("railyard-bench");
    if (worker_.empty()) throw std::runtime_error("railyard-bench is not beside this program");
    if (options.rails > 1) use_rails();
    if (options.against == "mpi") find_mpi();
    if (options.against == "one-rail" && options.rails == 1 && options.cluster_file.empty()) {
      throw InputError("railyard bench", "--against",
                       "one-rail is no other than this; say --rails 3, or --cluster FILE");
    }
  }

  int run() {
    bool alone = options_.against.empty();
    int rounds = options_.rounds > 0 ? options_.rounds : alone ? 1 : 3;
    for (int round = 0; round < rounds; ++round) {
      if (int code = run_runtime(ours_, {})) return code;
      if (alone) continue;
      if (int code = mpi_.empty() ? run_runtime(theirs_, 1) : run_mpi()) return code;
    }
    print();
    for (const auto& [bytes, row] : ours_.rows) {
      if (row.wrong > 0) return 1;
    }
    return 0;
  }

 private:
  static uint64_t bytes_of(const char* option, const std::string& text) {
    try {
      return parse_bytes(text);
    } catch (const UnitError& error) {
      throw InputError("railyard bench", option, error.what());
    }
  }

  void use_rails() {
    if (!options_.cluster_file.empty()) {
      throw InputError("railyard bench", "--rails", "how many there are is for --cluster to say");
    }
    cluster_ = {fabric::default_cluster(options_.profile, options_.ranks, options_.rails),
                options_.ranks, std::nullopt};
  }

  void find_mpi() {
    mpi_ = find_worker("railyard-bench-mpi");
    launcher_ = find_program("mpirun");
    if (mpi_.empty() || launcher_.empty()) {
      throw InputError(
          "railyard bench", "--against",
          "there is no MPI; install one (libopenmpi-dev, openmpi-bin) and build again");
    }
  }

  // Over at most so many cables to each peer.
  int run_runtime(Side& side, std::optional<int> rails) {
    ExecOptions exec;
    exec.ranks = options_.ranks;
    exec.profile = options_.profile;
    exec.cluster_file = options_.cluster_file;
    exec.cluster = cluster_;
    exec.link = options_.link;
    exec.group.backend = options_.backend;
    exec.group.rails = rails;
    exec.command = {worker_};
    exec.command.insert(exec.command.end(), arguments_.begin(), arguments_.end());
    exec.own_program = true;
    exec.listener = [&side](const std::string& line) { side.hear(line); };
    exec.interrupt = options_.interrupt;
    int code = exec_program(exec);
    return code == 3 ? 0 : code;  // wrong data have their column
  }

  int run_mpi() {
    OutputMixer mixer;
    Launch launch;
    launch.executable = launcher_;
    launch.arguments = {"-n", std::to_string(options_.ranks), mpi_};
    launch.arguments.insert(launch.arguments.end(), arguments_.begin(), arguments_.end());
    // As variables, because each MPI's mpirun has options of its own: more ranks than cores, which
    // they choose themselves as ours do, shared memory alone, and root, who is the user in
    // containers.
    launch.environment = {{"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                          {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},
                          {"OMPI_MCA_hwloc_base_binding_policy", "none"},
                          {"PRTE_MCA_hwloc_default_binding_policy", "none"},
                          {"OMPI_MCA_btl", "self,vader"},
                          {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                          {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
    launch.output = mixer.add([this](const std::string& line) { theirs_.hear(line); });
    Process process(launch);
    close(launch.output);
    while (mixer.pass(100)) {
      if (!interrupted()) continue;
      process.signal(SIGTERM);
      return 128 + options_.interrupt->load();
    }
    std::optional<Ending> ending;
    while (!(ending = process.ending())) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (ending->signal) return 128 + *ending->signal;
    return *ending->exit;
  }

  bool interrupted() const { return options_.interrupt && options_.interrupt->load() != 0; }

  void print() const {
    fmt::print("# railyard bench {}: {} ranks, {}\n", options_.operation, options_.ranks,
               ours_.backend);
    bool peer = !options_.against.empty();
    fmt::print("# {:>10} {:>11} {:>9} {:>10} {:>10} {:>7} {:>7} {:>5}{}\n", "size", "count",
               "dtype", "time", "least", "algbw", "busbw", "wrong",
               peer ? fmt::format(" | {:>10} {:>10} {:>6} {:>6}", options_.against, "least",
                                  "faster", "least")
                    : "");
    fmt::print(
        "# {:>10} {:>11} {:>9} {:>10} {:>10} {:>7} {:>7} {:>5}{}\n", "(B)", "(elements)", "",
        "(us)", "(us)", "(GB/s)", "(GB/s)", "",
        peer ? fmt::format(" | {:>10} {:>10} {:>6} {:>6}", "(us)", "(us)", "times", "times") : "");
    for (const auto& [bytes, row] : ours_.rows) {
      double rate = static_cast<double>(bytes) / row.median_us() / 1e3;
      fmt::print("  {:>10} {:>11} {:>9} {:>10.2f} {:>10.2f} {:>7.2f} {:>7.2f} {:>5}", bytes,
                 row.count, options_.dtype, row.median_us(), row.least_us, rate,
                 rate * bus_factor(options_.operation, options_.ranks), row.wrong);
      if (auto their = theirs_.rows.find(bytes); their != theirs_.rows.end()) {
        const Row& other = their->second;
        fmt::print(" | {:>10.2f} {:>10.2f} {:>6.2f} {:>6.2f}", other.median_us(), other.least_us,
                   other.median_us() / row.median_us(), other.least_us / row.least_us);
      }
      fmt::print("\n");
    }
  }

  const BenchOptions& options_;
  std::vector<std::string> arguments_;
  std::optional<Cluster> cluster_;
  std::string worker_, mpi_, launcher_;
  Side ours_, theirs_;
};

void require_known(const char* option, const std::string& value,
                   const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  throw InputError("railyard bench", option,
                   fmt::format("there is no '{}'; {}", value, suggest(value, known)));
}

}  // namespace

const std::vector<std::string>& bench_operations() {
  static const std::vector<std::string> operations = {"all_sum",    "all_max",     "all_min",
                                                      "all_gather", "sum_scatter", "broadcast",
                                                      "all_to_all", "barrier",     "send_recv"};
  return operations;
}

int bench(const BenchOptions& options) {
  require_known("OP", options.operation, bench_operations());
  require_known("--dtype", options.dtype,
                {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
                 "float16", "bfloat16", "float32", "float64"});
  require_known("--backend", options.backend, {"any", "mesh", "ring", "tcp", "tcp-ring", "local"});
  if (!options.against.empty()) require_known("--against", options.against, {"mpi", "one-rail"});
  return Bench(options).run();
}

}  // namespace railyard::harness
