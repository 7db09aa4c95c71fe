// How a run ends: the verdict, what was left behind, and the report.
#include <fmt/format.h>

#include <filesystem>

#include "hardware/outside.h"
#include "platform/core_file.h"
#include "platform/signals.h"
#include "run/check.h"
#include "run/cluster_run.h"
#include "run/results.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

constexpr int kTailLines = 8;
constexpr size_t kTraceEvents = 4;  // per process
constexpr size_t kCrashEvents = 12;

}  // namespace

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

Evidence ClusterRun::evidence(const fabric::Snapshot& snapshot, bool stuck) const {
  Evidence found;
  found.snapshot = snapshot;
  found.stuck = stuck;
  found.matrix = matrix_;
  found.backend = scenario_.group.backend;
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
    entry.backend = result.backend;
    entry.group_size = result.group_size;
    entry.finished = !rank.alive && rank.exit == 0 && (!result.has_result || result.ok);
    RankLook look{entry.rank, rank.pid, rank.alive, pages_[i]->current_phase() == Phase::computing,
                  false,      0,        rank.state};
    if (rank.alive) {
      const fabric::ProcessView* process = process_of(snapshot, entry.rank, rank.pid);
      entry.waiting = Observer::waiting(look, process);
      entry.outside = Observer::outside(look, process);
    }
    found.ranks.push_back(std::move(entry));
  }
  return found;
}

Diagnosis ClusterRun::final_diagnosis() {
  if (std::vector<std::string> troubles = site_->troubles(); !troubles.empty()) {
    Diagnosis lost{"host-lost", troubles.front(), {}, {}};
    lost.details.assign(troubles.begin() + 1, troubles.end());
    return lost;
  }
  bool all_well = true;
  for (const RankReport& rank : report_.ranks) all_well = all_well && rank.ok;
  if (auto wrong = check_data(report_.ranks)) return explain_data(*wrong, evidence(last_, false));
  if (report_.was_stuck && !all_well) return report_.diagnosis;
  Diagnosis diagnosis = diagnose(evidence(last_, false));
  if (diagnosis.verdict == "error" || diagnosis.verdict == "completion-error") {
    // The queue pairs of ranks that have ended are gone; what was seen before may say more.
    Diagnosis earlier = diagnose(evidence(fullest_, false));
    if (earlier.verdict != "error" && earlier.verdict != "ok") diagnosis = earlier;
  }
  if (report_.on_hosts) diagnosis = with_moved_cables(diagnosis, fabric_);
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
  // What ends in another way leaves things unread by nature.
  bool ours = scenario_.program.empty();
  if (report_.diagnosis.verdict != "ok" || !scenario_.expect.all_read.value_or(ours)) return;
  for (const fabric::PortView& port : after.ports) {
    if (port.unread_receives == 0) continue;
    const fabric::DeviceView& device = after.devices[static_cast<size_t>(port.device)];
    report_.failures.push_back(fmt::format(
        "left unread: {} message{} had arrived on {} of rank {} when it destroyed the queue",
        port.unread_receives, port.unread_receives == 1 ? "" : "s", device.name, device.node));
  }
}

int ClusterRun::rank_of(const fabric::TraceEvent& event) const {
  auto process = static_cast<size_t>(event.process);
  return process < last_.processes.size() ? last_.processes[process].node : -1;
}

void ClusterRun::tell_trace() {
  for (const fabric::TraceEvent& event : fabric_.trace(kTraceEvents)) {
    report_.trace_tail.push_back(fmt::format("{:>12} rank {} queue pair {} {} ({} B)",
                                             format_ns(event.at_ns), rank_of(event),
                                             event.queue_pair, event.text(), event.bytes));
  }
}

void ClusterRun::tell_verbs(const std::vector<RecordedVerb>& verbs) {
  std::vector<size_t> told(ranks_.size());
  std::vector<std::string> lines;
  for (auto verb = verbs.rbegin(); verb != verbs.rend(); ++verb) {
    if (told[static_cast<size_t>(verb->rank)]++ >= kTraceEvents) continue;
    lines.push_back(
        fmt::format("{:>12} rank {} {}", format_ns(verb->at_ns), verb->rank, verb->text));
  }
  report_.trace_tail.insert(report_.trace_tail.end(), lines.rbegin(), lines.rend());
}

CrashReport ClusterRun::crash_of(int rank) const {
  const Rank& self = ranks_[static_cast<size_t>(rank)];
  CrashReport crash;
  crash.signal = signal_name(self.signal.value_or(0));
  const fabric::ProcessView* process = process_of(last_, rank, self.pid);
  if (process) crash.verb = process->verb;
  for (const fabric::TraceEvent& event : fabric_.trace(kCrashEvents)) {
    if (rank_of(event) != rank) continue;
    crash.events.push_back(fmt::format("{:>12} queue pair {} {} ({} B)", format_ns(event.at_ns),
                                       event.queue_pair, event.text(), event.bytes));
  }
  crash.core = core_file(self.pid, std::filesystem::current_path().string());
  return crash;
}

void ClusterRun::conclude() {
  for (size_t i = 0; i < ranks_.size(); ++i) {
    RankReport& entry = report_.ranks[i];
    const Rank& rank = ranks_[i];
    entry.pid = rank.pid;
    entry.exit = rank.exit;
    entry.signal = rank.signal;
    entry.ended_by_harness = rank.ended_by_harness;
    entry.ended_by_fault = rank.ended_by_fault;
    if (rank.signal && !rank.ended_by_harness && !rank.ended_by_fault) {
      entry.crash = crash_of(entry.rank);
    }
    read_result(workplace_.file(fmt::format("result.{}.json", i)), entry);
    if (!entry.has_result) entry.ok = rank.exit == 0;
    entry.output_tail = tail_of(workplace_.file(fmt::format("output.{}", i)), kTailLines);
  }
  report_.conformance = site_->conformance();
  std::vector<RecordedVerb> verbs = site_->verbs();
  tell_verbs(verbs);
  // Devices and ports remember what queue pairs that are gone have seen.
  fabric::Snapshot after = fabric_.snapshot();
  site_->look(after);
  last_.ports = after.ports;
  last_.devices = after.devices;
  report_.diagnosis = final_diagnosis();
  if (report_.verdict_ns == 0) report_.verdict_ns = report_.ended_ns;
  check_leftovers();
  if (!report_.interrupted) check_expectations(scenario_, report_);
  if (recorder_) {
    record(fabric_.snapshot());
    RunRecord record = recorder_->finish(std::move(waits_));
    record.verbs = std::move(verbs);
    report_.record = std::make_shared<RunRecord>(std::move(record));
  }
  if (options_.keep) report_.kept_directory = workplace_.path();
}

}  // namespace railyard::harness
