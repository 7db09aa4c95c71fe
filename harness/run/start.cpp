// How a run begins: its directory, its ranks and what they are told.
#include <fmt/format.h>

#include <chrono>

#include "cluster/local_ranks.h"
#include "hardware/remote_ranks.h"
#include "run/cluster_run.h"
#include "run/results.h"

namespace railyard::harness {

ClusterRun::ClusterRun(const Scenario& scenario, const RunOptions& options)
    : scenario_(scenario),
      options_(options),
      fabric_(fabric::Fabric::create(scenario.cluster.spec)),
      ranks_(static_cast<size_t>(scenario.cluster.ranks)),
      handles_(ranks_.size()),
      faults_(scenario_, fabric_, pages_, handles_) {
  if (options.keep) workplace_.keep();
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
                      [this, rank](int number) { site_->signal(static_cast<int>(rank), number); },
                      [&self] { self.ended_by_fault = true; }, false};
  }
  if (options.hosts) {
    site_ = std::make_unique<RemoteRanks>(scenario_, options.hosts->remote(), fabric_, workplace_,
                                          pages_, options_);
  } else {
    site_ = std::make_unique<LocalRanks>(scenario_, fabric_, workplace_);
  }
  report_.file = scenario.file;
  report_.name = scenario.name;
  report_.summary = scenario.summary;
  report_.expected_verdict = scenario.expect.verdict_text();
  report_.seed = scenario.seed;
  report_.on_hosts = options.hosts != nullptr;
}

void ClusterRun::start_ranks() {
  matrix_ = scenario_.group.matrix
                ? *scenario_.group.matrix
                : matrix_of(scenario_.cluster.spec, scenario_.group.rails.value_or(0));
  workplace_.write("matrix.json", matrix_text(matrix_));
  workplace_.write("work.json", work_text(scenario_, report_.seed));
  site_->prepare();
  faults_.arm(site_->side_channel(), site_->device_faults());
  report_.started_ns = fabric_.now_ns();
  auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  report_.began_unix_ns = std::chrono::nanoseconds(since_1970).count();
  faults_.started(report_.started_ns);
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    site_->start(static_cast<int>(rank));
    ranks_[rank].pid = site_->pid(static_cast<int>(rank));
    ranks_[rank].alive = true;
  }
}

void check_runnable(const Scenario& scenario) { LocalRanks::executable_of(scenario); }

}  // namespace railyard::harness
