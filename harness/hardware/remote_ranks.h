// Ranks on hosts: started by their agents, watched through them, broken by rules and by hand.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/rank_site.h"
#include "cluster/side_channel.h"
#include "cluster/workplace.h"
#include "faults/device_faults.h"
#include "hardware/remote_hosts.h"
#include "railyard/run.h"

namespace railyard::harness {

class RemoteRanks : public RankSite, public SideChannel, public DeviceFaults {
 public:
  // All outlive it. `pages` are this machine's copies: what is written there goes to the hosts, and
  // what the ranks write comes back. `fabric` is the model of the hosts' cables, and the run's
  // clock.
  RemoteRanks(const Scenario& scenario, RemoteHosts& hosts, const fabric::Fabric& fabric,
              const Workplace& workplace, std::vector<PageFile>& pages, const RunOptions& options);
  ~RemoteRanks() override;

  void prepare() override;
  void start(int rank) override;
  pid_t pid(int rank) const override;
  std::optional<Ending> ending(int rank) override;
  void signal(int rank, int number) override;
  ProcessState state(int rank) override;
  bool among_themselves(const std::vector<int>&) override { return true; }
  bool known_since(int64_t since_ns) override;
  void look(fabric::Snapshot& snapshot) override;
  std::vector<std::string> troubles() const override;
  SideChannel* side_channel() override { return relayed_ ? this : nullptr; }
  DeviceFaults* device_faults() override { return this; }

  void refuse(int rank, bool on) override;
  void cut(int rank) override;
  void hang(int rank, bool on) override;
  void slow(int rank, std::chrono::nanoseconds delay) override;
  Counts counts(int rank) const override;
  bool delaying() const override { return false; }

  Rule add(int rank, const std::string& rule) override;
  void arm(const Rule& rule) override;
  void release(const Rule& rule) override;
  Firings firings(const Rule& rule) const override;
  std::string device(const std::string& port) const override { return placement_.device(port); }
  int lead(const std::string& gid, const std::string& port) override;
  std::string by_hand(const FaultPlan& plan, const std::string& what, bool& done) override;
  std::string shown(const FaultPlan& plan) const override;

  std::vector<RecordedVerb> verbs() const override;
  std::vector<ConformanceEntry> conformance() const override;
  int64_t waited_ns() const override { return waited_ns_; }

 private:
  struct Rank {
    std::vector<std::string> rules;
    nlohmann::json state, sent_page;
    std::optional<Ending> ending;
    std::string record, coordinator;
    pid_t pid = 0;
    uint64_t empty_polls = 0;             // at the last look that found more of them
    int64_t polled_at_ns = 0;             // of this machine's clock: when that was
    std::vector<std::string> ports_seen;  // changes that its devices showed, in words
  };

  int device_in(const fabric::Snapshot& snapshot, int rank, const std::string& device) const;
  void look_at_devices(int rank, fabric::Snapshot& snapshot) const;
  int device_opening(int rank, const fabric::Snapshot& snapshot) const;
  void add_contexts(int rank, int process, fabric::Snapshot& snapshot) const;
  static bool polls_on(Rank& rank, uint64_t empty_polls);
  void take_state(int rank);
  void send_page(int rank);
  void come_to_an_end(int rank, const nlohmann::json& message);
  void move_relay(int rank, const nlohmann::json& act);
  // The scenario's group; where somebody must move a plug, with the time that hands take.
  GroupPlan group() const;
  nlohmann::json environment(int rank) const;
  int64_t to_fabric_ns(int rank, int64_t remote_ns) const;

  const Scenario& scenario_;
  RemoteHosts& hosts_;
  const fabric::Fabric& fabric_;
  const Workplace& workplace_;
  std::vector<PageFile>& pages_;
  const RunOptions& options_;
  Placement placement_;
  bool relayed_ = false;
  int64_t waited_ns_ = 0;
  int64_t looked_since_ns_ = -1;  // what known_since() was asked last,
  int look_number_ = 0;           // and the number of the look that answers it
  std::vector<Rank> ranks_;
};

}  // namespace railyard::harness
