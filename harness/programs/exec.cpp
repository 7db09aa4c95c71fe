#include "railyard/exec.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stdexcept>

#include "cluster/environment.h"
#include "cluster/reserved_port.h"
#include "cluster/workplace.h"
#include "platform/executable.h"
#include "platform/sockets.h"
#include "programs/output.h"
#include "railyard/guard.h"
#include "railyard/process.h"

namespace railyard::harness {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLook{5};
constexpr milliseconds kListenGrace{300};      // where the system does not say who listens
constexpr milliseconds kListenLongest{10000};  // then the others are started all the same
constexpr milliseconds kTermination{200};      // between SIGTERM and SIGKILL
constexpr milliseconds kAfterFailure{2000};    // for the others, once a rank has failed

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

bool contains(const std::vector<std::string>& words, const char* what) {
  for (const std::string& word : words) {
    if (word.find(what) != std::string::npos) return true;
  }
  return false;
}

class Execution {
 public:
  Execution(const ExecOptions& options, Cluster cluster, std::string program)
      : options_(options),
        cluster_(std::move(cluster)),
        program_(std::move(program)),
        fabric_(fabric::Fabric::create(cluster_.spec)),
        coordinator_(false),
        port_(false) {
    shape_links(fabric_, cluster_);
    workplace_.write("matrix.json",
                     matrix_text(matrix_of(cluster_.spec, options_.group.rails.value_or(0))));
  }

  int run() {
    bool pair = contains(options_.command, "{peer}") && options_.ranks > 1;
    start(0);
    if (pair) wait_for_listener();
    for (int rank = 1; rank < started(); ++rank) start(rank);
    while (look()) {
    }
    if (options_.interrupt && options_.interrupt->load() != 0)
      return 128 + options_.interrupt->load();
    for (const std::optional<Ending>& ending : endings_) {
      if (ending->signal) return 128 + *ending->signal;
      if (*ending->exit != 0) return *ending->exit;
    }
    return 0;
  }

 private:
  int started() const { return options_.launcher ? 1 : options_.ranks; }

  void start(int rank) {
    Launch launch;
    launch.executable = program_;
    std::vector<std::string> arguments(options_.command.begin() + 1, options_.command.end());
    launch.arguments =
        arguments_of(arguments, rank, options_.ranks,
                     cluster_.spec.nodes[static_cast<size_t>(rank)].name, port_.number());
    launch.environment =
        rank_environment(fabric_, rank,
                         {coordinator_.number(), workplace_.file("matrix.json"), options_.group,
                          options_.own_program ? "" : workplace_.file("system")});
    // Of a launcher's ranks each finds its own node.
    if (options_.launcher) launch.environment.emplace_back("RAILYARD_NODE", "rank");
    bool alone = started() == 1 && !options_.listener;
    launch.own_group = !alone;  // alone it may read the terminal
    if (!alone) {
      std::string prefix = fmt::format("[{}] ", rank);
      launch.input = open("/dev/null", O_RDONLY | O_CLOEXEC);
      launch.output =
          options_.listener ? mixer_.add(options_.listener) : mixer_.add(prefix, STDOUT_FILENO);
      launch.error = mixer_.add(prefix, STDERR_FILENO);
    }
    processes_.push_back(std::make_unique<Process>(launch));
    endings_.emplace_back();
    for (int descriptor : {launch.input, launch.output, launch.error}) {
      if (descriptor >= 0) close(descriptor);
    }
  }

  void wait_for_listener() {
    Clock::time_point begin = Clock::now();
    while (look() && !endings_[0]) {
      std::optional<std::vector<uint16_t>> ports = listening_ports(processes_[0]->pid());
      if (ports ? !ports->empty() : Clock::now() - begin > kListenGrace) return;
      if (Clock::now() - begin > kListenLongest) return;
    }
  }

  // Passes output on and notices ends; false when every rank that was started has ended.
  bool look() {
    bool output = mixer_.pass(static_cast<int>(kLook.count()));
    if (!output) usleep(1000);
    bool alive = false;
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (endings_[i]) continue;
      endings_[i] = processes_[i]->ending();
      if (!endings_[i]) {
        alive = true;
        continue;
      }
      fabric_.reap(processes_[i]->pid());
      bool failed = endings_[i]->signal || *endings_[i]->exit != 0;
      if (failed && stop_at_ == Clock::time_point::max()) stop_at_ = Clock::now() + kAfterFailure;
    }
    if (options_.interrupt && options_.interrupt->load() != 0 && !asked_) stop_at_ = Clock::now();
    if (alive) stop_when_due();
    if (!alive) {
      while (mixer_.pass(0)) {
      }
    }
    return alive;
  }

  void stop_when_due() {
    if (Clock::now() < stop_at_) return;
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (endings_[i]) continue;
      processes_[i]->signal(asked_ ? SIGKILL : SIGTERM);
      processes_[i]->signal(SIGCONT);
    }
    asked_ = true;
    stop_at_ = Clock::now() + kTermination;
  }

  const ExecOptions& options_;
  Cluster cluster_;
  std::string program_;
  Workplace workplace_;
  fabric::Fabric fabric_;
  ReservedPort coordinator_, port_;
  OutputMixer mixer_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::optional<Ending>> endings_;
  Clock::time_point stop_at_ = Clock::time_point::max();
  bool asked_ = false;
};

Cluster cluster_for(const ExecOptions& options) {
  if (options.cluster) return *options.cluster;
  if (!options.cluster_file.empty()) {
    Cluster cluster = load_cluster(options.cluster_file);
    if (cluster.ranks < options.ranks) {
      throw InputError(options.cluster_file, "nodes",
                       fmt::format("{} nodes for {} ranks; lower -n or add nodes", cluster.ranks,
                                   options.ranks));
    }
    return cluster;
  }
  try {
    return {fabric::default_cluster(options.profile, options.ranks), options.ranks, std::nullopt};
  } catch (const fabric::Error& error) {
    throw InputError("railyard exec", "--profile", error.what());
  }
}

}  // namespace

std::vector<std::string> arguments_of(const std::vector<std::string>& arguments, int rank, int size,
                                      const std::string& node, int port) {
  std::vector<std::string> result;
  for (std::string argument : arguments) {
    if (argument.find("{peer}") != std::string::npos) {
      if (rank == 0) continue;
      replace_all(argument, "{peer}", "127.0.0.1");
    }
    replace_all(argument, "{rank}", std::to_string(rank));
    replace_all(argument, "{size}", std::to_string(size));
    replace_all(argument, "{node}", node);
    replace_all(argument, "{port}", std::to_string(port));
    result.push_back(std::move(argument));
  }
  return result;
}

int exec_program(const ExecOptions& options) {
  std::string program = find_program(options.command.at(0));
  if (program.empty()) {
    throw InputError("railyard exec", "",
                     fmt::format("there is no program '{}'; check the path", options.command[0]));
  }
  if (library_directory().empty()) {
    throw std::runtime_error(
        "the simulator's verbs library is not beside this program (../lib); build it");
  }
  Cluster cluster = cluster_for(options);
  if (!options.link.empty()) cluster.link = parse_link(options.link);
  Guard::start();
  return Execution(options, std::move(cluster), std::move(program)).run();
}

}  // namespace railyard::harness
