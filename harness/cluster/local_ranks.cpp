#include "cluster/local_ranks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "cluster/environment.h"
#include "faults/engine.h"
#include "platform/executable.h"
#include "platform/sockets.h"
#include "railyard/worker.h"

namespace railyard::harness {

namespace {

int open_file(const std::string& path, int flags) {
  int descriptor = open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    throw std::runtime_error(fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  }
  return descriptor;
}

}  // namespace

std::string LocalRanks::executable_of(const Scenario& scenario) {
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

LocalRanks::LocalRanks(const Scenario& scenario, const fabric::Fabric& fabric,
                       const Workplace& workplace)
    : scenario_(scenario),
      fabric_(fabric),
      workplace_(workplace),
      port_(scenario.program.empty()),
      processes_(static_cast<size_t>(scenario.cluster.ranks)) {
  if (FaultEngine::needs_relay(scenario)) {
    relay_ = std::make_unique<Relay>(scenario.cluster.ranks, port_.number());
  }
}

std::vector<std::pair<std::string, std::string>> LocalRanks::environment(int rank) const {
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
  for (const VariablePlan& variable : scenario_.environment) {
    if (!variable.value) continue;
    variables.emplace_back(variable.name,
                           variable.is_file ? workplace_.file(variable.name) : *variable.value);
  }
  return variables;
}

void LocalRanks::prepare() {
  for (const VariablePlan& variable : scenario_.environment) {
    if (variable.is_file) workplace_.write(variable.name, *variable.value);
  }
}

void LocalRanks::start(int rank) {
  Launch launch;
  launch.executable = executable_of(scenario_);
  if (!scenario_.program.empty()) {
    launch.arguments.assign(scenario_.program.begin() + 1, scenario_.program.end());
  }
  launch.environment = environment(rank);
  for (const VariablePlan& variable : scenario_.environment) {
    if (!variable.value) launch.unset.push_back(variable.name);
  }
  launch.input = open_file("/dev/null", O_RDONLY);
  launch.output =
      open_file(workplace_.file(fmt::format("output.{}", rank)), O_WRONLY | O_CREAT | O_APPEND);
  launch.error = launch.output;
  processes_[static_cast<size_t>(rank)] = std::make_unique<Process>(launch);
  close(launch.input);
  close(launch.output);
}

pid_t LocalRanks::pid(int rank) const { return processes_[static_cast<size_t>(rank)]->pid(); }

std::optional<Ending> LocalRanks::ending(int rank) {
  return processes_[static_cast<size_t>(rank)]->ending();
}

void LocalRanks::signal(int rank, int number) {
  processes_[static_cast<size_t>(rank)]->signal(number);
}

bool LocalRanks::among_themselves(const std::vector<int>& ranks) {
  // The relay of the side channel runs in this process.
  std::vector<pid_t> pids = {getpid()};
  for (int rank : ranks) pids.push_back(pid(rank));
  return harness::among_themselves(pids);
}

}  // namespace railyard::harness
