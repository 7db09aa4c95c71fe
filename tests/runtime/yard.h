// A simulated cluster for tests of groups: starts test ranks on it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster/reserved_port.h"
#include "railyard/fabric.h"
#include "ranks.h"

namespace railyard::test {

// Which build of the test rank: linked with the simulator, or loading the system's library by name.
enum class Build { linked, loaded };

class Yard {
 public:
  // A default cluster with this many nodes; `overrides` change the profile.
  Yard(const std::string& profile, int nodes, int rails = 1, const std::string& overrides = {});

  Yard& backend(const std::string& name) { return set("RAILYARD_BACKEND", name); }
  Yard& deadline_ms(int ms) { return set("RAILYARD_DEADLINE_MS", std::to_string(ms)); }
  Yard& bootstrap_deadline_ms(int ms) {
    return set("RAILYARD_BOOTSTRAP_DEADLINE_MS", std::to_string(ms));
  }
  Yard& build(Build build) {
    build_ = build;
    return *this;
  }
  // Another program than the test rank.
  Yard& program(const std::string& path) {
    program_ = path;
    return *this;
  }
  Yard& set(const std::string& variable, const std::string& value) {
    extra_.emplace_back(variable, value);
    return *this;
  }
  // Another matrix than the cables suggest, as JSON; empty: none.
  Yard& matrix(const std::string& json) {
    matrix_ = json;
    return *this;
  }

  // Starts all ranks, or those given, with these steps (see test_rank.cpp).
  Ranks& start(const std::vector<std::string>& steps);
  void start_rank(int rank, const std::vector<std::string>& steps);
  // start() and wait().
  std::vector<Outcome> run(const std::vector<std::string>& steps);

  // Where rank 0 listens.
  int port() const { return port_; }
  Yard& port(int number) {
    port_ = number;
    return *this;
  }

  fabric::Fabric& fabric() { return fabric_; }
  Ranks& ranks() { return ranks_; }
  int size() const { return nodes_; }

 private:
  std::string matrix_of_cables() const;

  fabric::ClusterSpec spec_;
  int nodes_;
  fabric::Fabric fabric_;
  harness::ReservedPort reserved_{true};
  int port_ = reserved_.number();
  Build build_ = Build::linked;
  std::string program_;
  Variables extra_;
  std::string matrix_;
  Ranks ranks_;
};

// Fails the test for each rank that did not end well, with what it said.
void expect_ok(const std::vector<Outcome>& outcomes);

}  // namespace railyard::test
