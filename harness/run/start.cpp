// How a run begins: its directory, its ranks and what they are told.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "cluster/environment.h"
#include "platform/executable.h"
#include "run/cluster_run.h"
#include "run/results.h"

namespace railyard::harness {

namespace {

int open_file(const std::string& path, int flags) {
  int descriptor = open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    throw std::runtime_error(fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  }
  return descriptor;
}

std::string executable_of(const Scenario& scenario) {
  if (scenario.program.empty()) {
    std::string worker = find_worker(scenario.worker);
    if (!worker.empty()) return worker;
    throw std::runtime_error(
        fmt::format("{} needs {}, which is not beside this program in {}; build it", scenario.file,
                    scenario.worker, executable_directory()));
  }
  std::string program = find_program(scenario.program[0]);
  if (!program.empty()) return program;
  throw InputError(scenario.file, "program/0",
                   fmt::format("there is no program '{}'; check the path", scenario.program[0]));
}

}  // namespace

ClusterRun::ClusterRun(const Scenario& scenario, const RunOptions& options)
    : scenario_(scenario),
      options_(options),
      fabric_(fabric::Fabric::create(scenario.cluster.spec)),
      port_(scenario.program.empty()),
      ranks_(static_cast<size_t>(scenario.cluster.ranks)),
      handles_(ranks_.size()),
      faults_(scenario_, fabric_, pages_, handles_) {
  if (options.keep) workplace_.keep();
  if (FaultEngine::needs_relay(scenario)) {
    relay_ = std::make_unique<Relay>(scenario.cluster.ranks, port_.number());
  }
  fabric_.record_trace(true);
  fabric_.watch_memory(true);
  if (options.record_messages != 0) {
    std::vector<std::string> operations;
    for (const OperationPlan& each : scenario.operations) operations.push_back(each.name);
    recorder_.emplace(fabric_, scenario.cluster.spec, operations, options.record_messages);
  }
  Cluster cluster = scenario.cluster;
  if (cluster.link) cluster.link->seed = scenario.seed;
  shape_links(fabric_, cluster);
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    pages_.emplace_back(workplace_.file(fmt::format("page.{}", rank)));
    Rank& self = ranks_[rank];
    handles_[rank] = {[&self] { return self.alive; }, [&self] { return self.pid; },
                      [&self](int number) { self.process->signal(number); },
                      [&self] { self.ended_by_fault = true; }, false};
  }
  report_.file = scenario.file;
  report_.name = scenario.name;
  report_.summary = scenario.summary;
  report_.expected_verdict = scenario.expect.verdict_text();
  report_.seed = scenario.seed;
}

std::vector<std::pair<std::string, std::string>> ClusterRun::environment(int rank) const {
  int port = relay_ ? relay_->port(rank) : port_.number();
  RankSurroundings surroundings{port, workplace_.file("matrix.json"), scenario_.group, ""};
  if (!scenario_.program.empty()) {
    surroundings.system_tree = workplace_.file("system");
  }
  auto variables = rank_environment(fabric_, rank, surroundings);
  if (scenario_.program.empty()) {
    variables.emplace_back(kWorkVariable, workplace_.file("work.json"));
    variables.emplace_back(kProgressVariable, workplace_.file(fmt::format("page.{}", rank)));
  }
  variables.emplace_back(kResultVariable, workplace_.file(fmt::format("result.{}.json", rank)));
  return variables;
}

void ClusterRun::start_rank(int rank) {
  Launch launch;
  launch.executable = executable_of(scenario_);
  if (!scenario_.program.empty()) {
    launch.arguments.assign(scenario_.program.begin() + 1, scenario_.program.end());
  }
  launch.environment = environment(rank);
  launch.input = open_file("/dev/null", O_RDONLY);
  launch.output =
      open_file(workplace_.file(fmt::format("output.{}", rank)), O_WRONLY | O_CREAT | O_APPEND);
  launch.error = launch.output;
  Rank& self = ranks_[static_cast<size_t>(rank)];
  self.process = std::make_unique<Process>(launch);
  close(launch.input);
  close(launch.output);
  self.pid = self.process->pid();
  self.alive = true;
}

void ClusterRun::start_ranks() {
  matrix_ = scenario_.group.matrix
                ? *scenario_.group.matrix
                : matrix_of(scenario_.cluster.spec, scenario_.group.rails.value_or(0));
  workplace_.write("matrix.json", matrix_text(matrix_));
  workplace_.write("work.json", work_text(scenario_, report_.seed));
  faults_.arm(relay_.get());
  report_.started_ns = fabric_.now_ns();
  auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  report_.began_unix_ns = std::chrono::nanoseconds(since_1970).count();
  faults_.started(report_.started_ns);
  for (size_t rank = 0; rank < ranks_.size(); ++rank) start_rank(static_cast<int>(rank));
}

void check_runnable(const Scenario& scenario) { executable_of(scenario); }

}  // namespace railyard::harness
