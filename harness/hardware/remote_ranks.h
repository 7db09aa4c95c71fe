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
  std::string by_hand(const FaultPlan& plan, const std::string& what, bool& done) override;

  // What the pass-through library wrote down for a rank; "": nothing.
  const std::string& record(int rank) const { return ranks_[static_cast<size_t>(rank)].record; }

 private:
  struct Rank {
    std::vector<std::string> rules;
    nlohmann::json state, sent_page;
    std::optional<Ending> ending;
    std::string record, coordinator;
    pid_t pid = 0;
    int64_t started_ns = 0;
  };

  void take_state(int rank);
  void send_page(int rank);
  void come_to_an_end(int rank, const nlohmann::json& message);
  void move_relay(int rank, const nlohmann::json& act);
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
  std::vector<Rank> ranks_;
  std::vector<std::string> seen_ports_;  // changes that the devices showed, in words
  mutable std::vector<Counts> counts_;
};

}  // namespace railyard::harness
