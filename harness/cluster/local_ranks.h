// Ranks that are processes of this machine, each on its node of the fabric.
#pragma once

#include <memory>
#include <vector>

#include "cluster/rank_site.h"
#include "cluster/relay.h"
#include "cluster/reserved_port.h"
#include "cluster/workplace.h"
#include "railyard/scenario.h"

namespace railyard::harness {

class LocalRanks : public RankSite {
 public:
  // All outlive it. Throws as run_scenario does when the program is not there.
  LocalRanks(const Scenario& scenario, const fabric::Fabric& fabric, const Workplace& workplace);

  void prepare() override;
  void start(int rank) override;
  pid_t pid(int rank) const override;
  std::optional<Ending> ending(int rank) override;
  void signal(int rank, int number) override;
  ProcessState state(int rank) override { return process_state(pid(rank)); }
  bool among_themselves(const std::vector<int>& ranks) override;
  SideChannel* side_channel() override { return relay_.get(); }

  // The worker or the program of a scenario, as a path.
  static std::string executable_of(const Scenario& scenario);

 private:
  std::vector<std::pair<std::string, std::string>> environment(int rank) const;

  const Scenario& scenario_;
  const fabric::Fabric& fabric_;
  const Workplace& workplace_;
  ReservedPort port_;
  std::unique_ptr<Relay> relay_;  // where a fault breaks the side channel
  std::vector<std::unique_ptr<Process>> processes_;
};

}  // namespace railyard::harness
