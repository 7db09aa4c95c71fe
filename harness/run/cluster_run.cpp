#include "run/cluster_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include "cluster/environment.h"
#include "platform/executable.h"
#include "railyard/guard.h"
#include "run/check.h"
#include "run/results.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kLook = 2 * kMillisecond;
constexpr int64_t kLongestLook = 10 * kMillisecond;
constexpr int64_t kLookShare = 30;                    // of a processor, one part in so many
constexpr int64_t kTermination = 200 * kMillisecond;  // between SIGTERM and SIGKILL
constexpr int64_t kLongestRun = 50'000 * kMillisecond;
constexpr int64_t kGrace = 1000 * kMillisecond;  // beyond "within", to see how it ends
constexpr int kTailLines = 8;
constexpr size_t kTraceEvents = 4;  // per process

void pause_for(int64_t ns) {
  timespec time{ns / 1'000'000'000, ns % 1'000'000'000};
  nanosleep(&time, nullptr);
}

int64_t cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

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
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    pages_.emplace_back(workplace_.file(fmt::format("page.{}", rank)));
    Rank& self = ranks_[rank];
    handles_[rank] = {[&self] { return self.alive; }, [&self] { return self.pid; },
                      [&self](int number) { self.process->signal(number); },
                      [&self] { self.ended_by_fault = true; }};
  }
  report_.file = scenario.file;
  report_.name = scenario.name;
  report_.summary = scenario.summary;
  report_.seed = options.seed.value_or(scenario.seed);
}

std::vector<std::pair<std::string, std::string>> ClusterRun::environment(int rank) const {
  auto variables = rank_environment(
      fabric_, rank, {port_.number(), workplace_.file("matrix.json"), scenario_.group});
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
  DeviceMatrix matrix = scenario_.group.matrix
                            ? *scenario_.group.matrix
                            : matrix_of(scenario_.cluster.spec, scenario_.group.rails.value_or(0));
  workplace_.write("matrix.json", matrix_text(matrix));
  workplace_.write("work.json", work_text(scenario_, report_.seed));
  faults_.arm();
  report_.started_ns = fabric_.now_ns();
  faults_.started(report_.started_ns);
  for (size_t rank = 0; rank < ranks_.size(); ++rank) start_rank(static_cast<int>(rank));
}

std::string ClusterRun::place_of(int rank) const {
  const WorkerPage& page = *pages_[static_cast<size_t>(rank)];
  Position position = page.position.load(std::memory_order_acquire);
  if (!scenario_.program.empty()) return "";
  if (position == kNowhere || operation_of(position) >= scenario_.operations.size()) {
    return page.current_phase() == Phase::starting ? "start-up" : "";
  }
  return fmt::format("{}, iteration {}", scenario_.operations[operation_of(position)].name,
                     iteration_of(position));
}

void ClusterRun::notice_ends() {
  for (size_t i = 0; i < ranks_.size(); ++i) {
    Rank& rank = ranks_[i];
    if (!rank.alive) continue;
    std::optional<Ending> ending = rank.process->ending();
    if (!ending) continue;
    rank.alive = false;
    rank.exit = ending->exit;
    rank.signal = ending->signal;
    int64_t page_says = pages_[i]->ended_at_ns.load();
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    rank.ended_at_ns = page_says != 0 ? page_says : now.tv_sec * 1'000'000'000LL + now.tv_nsec;
    fabric_.reap(rank.pid);
  }
}

void ClusterRun::watch(const fabric::Snapshot& snapshot) {
  bool quiet = snapshot.activity == last_.activity;
  Look look;
  look.now_ns = snapshot.now_ns;
  look.snapshot = snapshot;
  look.timers = faults_.timers_pending();
  for (size_t i = 0; i < ranks_.size(); ++i) {
    Rank& rank = ranks_[i];
    // The system is only asked when the fabric has nothing new to say.
    if (quiet && rank.alive) rank.state = process_state(rank.pid);
    const WorkerPage& page = *pages_[i];
    Phase phase = page.current_phase();
    look.ranks.push_back({static_cast<int>(i), rank.pid, rank.alive, phase == Phase::computing,
                          phase == Phase::starting, page.iterations.load(), rank.state});
  }
  if (report_.was_stuck) {
    end_now_ = end_now_ || !worth_leaving();
    return;
  }
  Observer::Decision decision = observer_.look(look);
  if (!decision.stuck) return;
  report_.was_stuck = true;
  report_.last_progress_ns = decision.since_ns;
  Evidence found = evidence(snapshot, true);
  report_.diagnosis = diagnose(found);
  report_.verdict_ns = fabric_.now_ns();
  std::vector<std::string> waiting = waits(found);
  for (size_t i = 0; i < waiting.size(); ++i) report_.ranks[i].waited_for = waiting[i];
  end_now_ = end_now_ || !worth_leaving();
}

bool ClusterRun::worth_leaving() const {
  // A verdict that was not asked for is final: waiting would not make the scenario pass.
  if (report_.diagnosis.verdict != scenario_.expect.verdict) return false;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].alive && expects_end(scenario_, static_cast<int>(i))) return true;
  }
  return false;
}

Evidence ClusterRun::evidence(const fabric::Snapshot& snapshot, bool stuck) const {
  Evidence found;
  found.snapshot = snapshot;
  found.stuck = stuck;
  for (const fabric::NodeSpec& node : scenario_.cluster.spec.nodes)
    found.node_names.push_back(node.name);
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const Rank& rank = ranks_[i];
    RankEvidence entry;
    entry.rank = static_cast<int>(i);
    entry.pid = rank.pid;
    entry.alive = rank.alive;
    entry.stopped = rank.alive && rank.state.kind == ProcessState::Kind::stopped;
    entry.exit = rank.exit;
    entry.signal = rank.signal;
    entry.ended_by_harness = rank.ended_by_harness;
    entry.ended_at_ns = rank.ended_at_ns;
    entry.place = place_of(static_cast<int>(i));
    RankReport result;
    if (!rank.alive) read_result(workplace_.file(fmt::format("result.{}.json", i)), result);
    entry.error = result.error;
    entry.finished = !rank.alive && rank.exit == 0 && (!result.has_result || result.ok);
    RankLook look{entry.rank, rank.pid, rank.alive, pages_[i]->current_phase() == Phase::computing,
                  false,      0,        rank.state};
    if (rank.alive) entry.waiting = Observer::waiting(look, process_of(snapshot, rank.pid));
    found.ranks.push_back(std::move(entry));
  }
  return found;
}

bool ClusterRun::over() const {
  return std::none_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.alive; });
}

bool ClusterRun::step() {
  fabric::Snapshot snapshot = fabric_.snapshot();
  if (snapshot.queue_pairs.size() >= fullest_.queue_pairs.size()) fullest_ = snapshot;
  notice_ends();
  faults_.tick();
  watch(snapshot);
  last_ = std::move(snapshot);
  int64_t now = fabric_.now_ns();
  int64_t limit = scenario_.expect.within ? scenario_.expect.within->count() + kGrace : kLongestRun;
  if (now - report_.started_ns > limit && !end_now_) {
    end_now_ = true;
    why_ended_ = fmt::format("still running after {}", format_ns(now - report_.started_ns));
  }
  if (options_.interrupt && options_.interrupt->load() != 0 && !end_now_) {
    end_now_ = true;
    report_.interrupted = true;
    why_ended_ = "interrupted";
  }
  return !over();
}

void ClusterRun::end_ranks() {
  for (Rank& rank : ranks_) {
    if (!rank.alive) continue;
    rank.ended_by_harness = true;
    rank.process->signal(SIGTERM);
    rank.process->signal(SIGCONT);  // a stopped process hears nothing else
  }
  int64_t deadline = fabric_.now_ns() + kTermination;
  while (!over() && fabric_.now_ns() < deadline) {
    pause_for(kMillisecond);
    notice_ends();
  }
  for (Rank& rank : ranks_) {
    if (rank.alive) rank.process->signal(SIGKILL);
  }
  while (!over()) {
    pause_for(kMillisecond);
    notice_ends();
  }
}

Diagnosis ClusterRun::final_diagnosis() {
  bool all_well = true;
  for (const RankReport& rank : report_.ranks) all_well = all_well && rank.ok;
  if (auto wrong = check_data(report_.ranks)) return *wrong;
  if (report_.was_stuck && !all_well) return report_.diagnosis;
  Diagnosis diagnosis = diagnose(evidence(last_, false));
  if (diagnosis.verdict == "error" || diagnosis.verdict == "completion-error") {
    // The queue pairs of ranks that have ended are gone; what was seen before may say more.
    Diagnosis earlier = diagnose(evidence(fullest_, false));
    if (earlier.verdict != "error" && earlier.verdict != "ok") diagnosis = earlier;
  }
  if (!why_ended_.empty() && diagnosis.verdict != "ok") {
    diagnosis.details.push_back(why_ended_);
  }
  if (!why_ended_.empty() && diagnosis.verdict == "ok") {
    diagnosis = {"error", why_ended_, {}, {}};
  }
  return diagnosis;
}

void ClusterRun::check_leftovers() {
  fabric::Snapshot after = fabric_.snapshot();
  for (const fabric::ContextView& context : after.contexts) {
    const fabric::ProcessView& process = after.processes[static_cast<size_t>(context.process)];
    report_.failures.push_back(fmt::format(
        "left behind: a context on {} of rank {} with {} queue pairs and {} memory regions",
        after.devices[static_cast<size_t>(context.device)].name, process.node, context.queue_pairs,
        context.memory_regions));
  }
  report_.faults = faults_.reports(after);
}

RunReport ClusterRun::run() {
  auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < ranks_.size(); ++i)
    report_.ranks.emplace_back().rank = static_cast<int>(i);
  start_ranks();
  for (int64_t before = cpu_ns(); step() && !end_now_; before = cpu_ns()) {
    // Looking must not take the processors from those who are looked at.
    pause_for(std::clamp((cpu_ns() - before) * kLookShare, kLook, kLongestLook));
  }
  // A run that is ended by force is judged by its last moment, not by the killing.
  if (end_now_ && !report_.was_stuck) {
    Evidence found = evidence(last_, false);
    std::vector<std::string> waiting = waits(found);
    for (size_t i = 0; i < waiting.size(); ++i) report_.ranks[i].waited_for = waiting[i];
  }
  report_.ended_ns = fabric_.now_ns();
  for (const fabric::TraceEvent& event : fabric_.trace(kTraceEvents)) {
    report_.trace_tail.push_back(fmt::format("{:>12} rank {} queue pair {} {} ({} B)",
                                             format_ns(event.at_ns), event.process,
                                             event.queue_pair, event.what, event.bytes));
  }
  end_ranks();
  for (size_t i = 0; i < ranks_.size(); ++i) {
    RankReport& entry = report_.ranks[i];
    const Rank& rank = ranks_[i];
    entry.pid = rank.pid;
    entry.exit = rank.exit;
    entry.signal = rank.signal;
    entry.ended_by_harness = rank.ended_by_harness;
    entry.ended_by_fault = rank.ended_by_fault;
    read_result(workplace_.file(fmt::format("result.{}.json", i)), entry);
    if (!entry.has_result) entry.ok = rank.exit == 0;
    entry.output_tail = tail_of(workplace_.file(fmt::format("output.{}", i)), kTailLines);
  }
  report_.diagnosis = final_diagnosis();
  if (report_.verdict_ns == 0) report_.verdict_ns = report_.ended_ns;
  check_leftovers();
  if (!report_.interrupted) check_expectations(scenario_, report_);
  if (options_.keep) report_.kept_directory = workplace_.path();
  report_.total_ns = std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
  return report_;
}

void check_runnable(const Scenario& scenario) { executable_of(scenario); }

RunReport run_scenario(const Scenario& scenario, const RunOptions& options) {
  Guard::start();
  auto begin = std::chrono::steady_clock::now();
  std::optional<ClusterRun> run;
  run.emplace(scenario, options);
  RunReport report = run->run();
  run.reset();
  report.total_ns = std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
  return report;
}

}  // namespace railyard::harness
