#include "yard.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace railyard::test {

namespace {

fabric::ClusterSpec spec_of(const std::string& profile, int nodes, int rails,
                            const std::string& overrides) {
  fabric::ClusterSpec spec = fabric::default_cluster(profile, nodes, rails);
  spec.profile_overrides = overrides;
  return spec;
}

}  // namespace

Yard::Yard(const std::string& profile, int nodes, int rails, const std::string& overrides)
    : spec_(spec_of(profile, nodes, rails, overrides)),
      nodes_(nodes),
      fabric_(fabric::Fabric::create(spec_)) {
  matrix_ = matrix_of_cables();
}

std::string Yard::matrix_of_cables() const {
  auto at = [](int i, int j) { return std::pair(i, j); };
  std::map<std::pair<int, int>, std::string> cells;
  auto add = [&](int i, int j, const std::string& device) {
    std::string& cell = cells[at(i, j)];
    cell += fmt::format("{}\"{}\"", cell.empty() ? "" : ", ", device);
  };
  auto split = [](const std::string& plug) {
    size_t slash = plug.find('/');
    return std::pair(std::stoi(plug.substr(4, slash - 4)), plug.substr(slash + 1));
  };
  for (const auto& cable : spec_.cables) {
    auto [i, device] = split(cable.ends[0]);
    if (cable.ends[1].find('/') == std::string::npos) {
      for (int j = 0; j < nodes_; ++j) {
        if (i != j) add(i, j, device);
      }
    } else {
      auto [j, other] = split(cable.ends[1]);
      add(i, j, device);
      add(j, i, other);
    }
  }
  std::string matrix;
  for (int i = 0; i < nodes_; ++i) {
    std::string row;
    for (int j = 0; j < nodes_; ++j) {
      row += fmt::format("{}[{}]", j ? ", " : "", cells[at(i, j)]);
    }
    matrix += fmt::format("{}[{}]", i ? ", " : "", row);
  }
  return fmt::format("[{}]", matrix);
}

void Yard::start_rank(int rank, const std::vector<std::string>& steps) {
  const char* path = std::getenv("LD_LIBRARY_PATH");
  Variables variables = fabric_.environment(rank);
  variables.emplace_back("LD_LIBRARY_PATH", fmt::format("{}{}{}", RAILYARD_TEST_LIBRARY_DIR,
                                                        path ? ":" : "", path ? path : ""));
  variables.emplace_back("JACCL_RANK", std::to_string(rank));
  variables.emplace_back("JACCL_COORDINATOR", fmt::format("127.0.0.1:{}", port_));
  if (!matrix_.empty()) variables.emplace_back("JACCL_IBV_DEVICES", matrix_);
  variables.insert(variables.end(), extra_.begin(), extra_.end());
  const char* rank_program =
      build_ == Build::linked ? RAILYARD_TEST_RANK_LINKED : RAILYARD_TEST_RANK_LOADED;
  ranks_.start(program_.empty() ? rank_program : program_, steps, variables);
}

Ranks& Yard::start(const std::vector<std::string>& steps) {
  ranks_.forget();
  for (int rank = 0; rank < nodes_; ++rank) start_rank(rank, steps);
  return ranks_;
}

std::vector<Outcome> Yard::run(const std::vector<std::string>& steps) {
  return start(steps).wait();
}

void expect_ok(const std::vector<Outcome>& outcomes) {
  for (const Outcome& outcome : outcomes) {
    EXPECT_TRUE(outcome.ok()) << "exit " << outcome.exit_code << " signal " << outcome.signal
                              << "\n"
                              << outcome.output;
  }
}

}  // namespace railyard::test
