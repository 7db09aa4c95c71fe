#include "run/cluster_run.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <ctime>

#include "diagnosis/wait_graph.h"
#include "hardware/outside.h"
#include "railyard/guard.h"
#include "run/check.h"
#include "run/moment.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kLook = 2 * kMillisecond;
constexpr int64_t kLongestLook = 10 * kMillisecond;
constexpr int64_t kLookShare = 30;                    // of a processor, one part in so many
constexpr int64_t kTermination = 200 * kMillisecond;  // between SIGTERM and SIGKILL
constexpr int64_t kLongestRun = 50'000 * kMillisecond;
// What hosts say comes late, and from each at another time.
constexpr int64_t kQuietOnHosts = 250 * kMillisecond;
constexpr int64_t kGrace = 1000 * kMillisecond;  // beyond "within", to see how it ends

void pause_for(int64_t ns) {
  timespec time{ns / 1'000'000'000, ns % 1'000'000'000};
  nanosleep(&time, nullptr);
}

int64_t cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

}  // namespace

void ClusterRun::notice_ends() {
  for (size_t i = 0; i < ranks_.size(); ++i) {
    Rank& rank = ranks_[i];
    if (!rank.alive) continue;
    std::optional<Ending> ending = site_->ending(static_cast<int>(i));
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
  look.among_themselves = [this] {
    std::vector<int> living;
    for (size_t i = 0; i < ranks_.size(); ++i) {
      if (ranks_[i].alive) living.push_back(static_cast<int>(i));
    }
    return site_->among_themselves(living);
  };
  for (size_t i = 0; i < ranks_.size(); ++i) {
    Rank& rank = ranks_[i];
    // The system is only asked when the fabric has nothing new to say.
    if (quiet && rank.alive) rank.state = site_->state(static_cast<int>(i));
    const WorkerPage& page = *pages_[i];
    Phase phase = page.current_phase();
    bool killed = !rank.alive && rank.signal && phase == Phase::starting;
    look.orphaned = look.orphaned || (killed && scenario_.program.empty());
    look.ranks.push_back({static_cast<int>(i), rank.pid, rank.alive, phase == Phase::computing,
                          phase == Phase::starting, page.iterations.load(), rank.state});
  }
  if (report_.was_stuck) {
    end_now_ = end_now_ || !worth_leaving();
    return;
  }
  Observer::Decision decision = observer_.look(look);
  if (!decision.stuck) return;
  if (report_.on_hosts && look.now_ns - decision.since_ns < kQuietOnHosts) return;
  // A busy host may not have heard yet of the fault that ended: not to go on, nor to let go on.
  if (!site_->known_since(decision.since_ns)) return;
  report_.was_stuck = true;
  report_.last_progress_ns = decision.since_ns;
  Evidence found = evidence(snapshot, true);
  report_.diagnosis = diagnose(found);
  if (report_.on_hosts) report_.diagnosis = with_moved_cables(report_.diagnosis, fabric_);
  report_.verdict_ns = fabric_.now_ns();
  waits_ = wait_graph(found);
  std::vector<std::string> waiting = waits(found);
  for (size_t i = 0; i < waiting.size(); ++i) report_.ranks[i].waited_for = waiting[i];
  end_now_ = end_now_ || !worth_leaving();
}

void ClusterRun::record(const fabric::Snapshot& snapshot) {
  if (!recorder_) return;
  std::vector<RankMoment> moments;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    moments.push_back(moment_of(*pages_[i], ranks_[i].alive, ranks_[i].state,
                                process_of(snapshot, static_cast<int>(i), ranks_[i].pid),
                                process_of(last_, static_cast<int>(i), ranks_[i].pid),
                                scenario_.program.empty()));
  }
  recorder_->look(snapshot, moments);
}

bool ClusterRun::worth_leaving() const {
  // A verdict that was not asked for is final: waiting would not make the scenario pass.
  if (!scenario_.expect.met_by(report_.diagnosis.verdict)) return false;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].alive && expects_end(scenario_, static_cast<int>(i))) return true;
  }
  return false;
}

bool ClusterRun::over() const {
  return std::none_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.alive; });
}

bool ClusterRun::step() {
  fabric::Snapshot snapshot = fabric_.snapshot();
  site_->look(snapshot);
  if (snapshot.queue_pairs.size() >= fullest_.queue_pairs.size()) fullest_ = snapshot;
  notice_ends();
  faults_.tick(snapshot);
  watch(snapshot);
  record(snapshot);
  last_ = std::move(snapshot);
  int64_t now = fabric_.now_ns();
  int64_t limit = scenario_.expect.within ? scenario_.expect.within->count() + kGrace : kLongestRun;
  report_.waited_ns = site_->waited_ns();
  if (now - report_.started_ns - report_.waited_ns > limit && !end_now_) {
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
  for (size_t i = 0; i < ranks_.size(); ++i) {
    if (!ranks_[i].alive) continue;
    ranks_[i].ended_by_harness = true;
    site_->signal(static_cast<int>(i), SIGTERM);
    site_->signal(static_cast<int>(i), SIGCONT);  // a stopped process hears nothing else
  }
  int64_t deadline = fabric_.now_ns() + kTermination;
  while (!over() && fabric_.now_ns() < deadline) {
    pause_for(kMillisecond);
    notice_ends();
  }
  for (size_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].alive) site_->signal(static_cast<int>(i), SIGKILL);
  }
  while (!over()) {
    pause_for(kMillisecond);
    notice_ends();
  }
}

RunReport ClusterRun::run() {
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
    waits_ = wait_graph(found);
    std::vector<std::string> waiting = waits(found);
    for (size_t i = 0; i < waiting.size(); ++i) report_.ranks[i].waited_for = waiting[i];
  }
  report_.ended_ns = fabric_.now_ns();
  tell_trace();
  end_ranks();
  conclude();
  return report_;
}

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
