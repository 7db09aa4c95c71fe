// Device matrices and hostfiles made from cables.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "railyard/nearest.h"
#include "railyard/topology.h"
#include "scenario/reader.h"
#include "topology/cabling.h"

namespace railyard::harness {

namespace {

// How far a search for a ring may go: cables of real machines (six ports at most) stay far below.
constexpr int kMostSteps = 2'000'000;

using Order = std::vector<size_t>;

// An order of the ranks in which all neighbours have at least `rails` cables in common.
class RingSearch {
 public:
  RingSearch(const DeviceMatrix& matrix, size_t rails) : matrix_(matrix), rails_(rails) {}

  std::optional<Order> find() {
    Order given(matrix_.size());
    std::iota(given.begin(), given.end(), 0);
    if (closes(given)) return given;
    order_ = {0};
    used_.assign(matrix_.size(), false);
    used_[0] = true;
    steps_ = 0;
    if (extend()) return order_;
    return {};
  }

 private:
  bool joined(size_t a, size_t b) const { return matrix_[a][b].size() >= rails_; }

  bool closes(const Order& order) const {
    for (size_t i = 0; i < order.size(); ++i) {
      if (!joined(order[i], order[(i + 1) % order.size()])) return false;
    }
    return true;
  }

  // The first order in the sense of a dictionary.
  bool extend() {
    if (order_.size() == matrix_.size()) return joined(order_.back(), order_.front());
    if (++steps_ > kMostSteps) return false;
    for (size_t next = 0; next < matrix_.size(); ++next) {
      if (used_[next] || !joined(order_.back(), next)) continue;
      used_[next] = true;
      order_.push_back(next);
      if (extend()) return true;
      order_.pop_back();
      used_[next] = false;
    }
    return false;
  }

  const DeviceMatrix& matrix_;
  size_t rails_;
  Order order_;
  std::vector<bool> used_;
  int steps_ = 0;
};

class Planner {
 public:
  Planner(const std::string& file, const fabric::ClusterSpec& cluster)
      : file_(file), cluster_(cluster), matrix_(matrix_of(cluster, 0)) {
    if (cluster.nodes.size() < 2) {
      throw InputError(file, "", "names fewer than two hosts; a group of one needs no cables");
    }
  }

  Plan plan(Shape shape) const {
    std::string gap = first_gap();
    if (shape == Shape::mesh && !gap.empty()) fail("mesh", gap);
    if (shape == Shape::mesh) return mesh();
    size_t rails = 0;
    std::optional<Order> order;
    for (rails = most_rails(); rails > 0 && !order; --rails) {
      order = RingSearch(matrix_, rails).find();
    }
    ++rails;  // of the search that found it
    if (shape == Shape::any && gap.empty() && (!order || rails < 2)) return mesh();
    if (!order && shape == Shape::any) fail("mesh", gap + ", and no ring: " + no_ring());
    if (!order) fail("ring", no_ring());
    return ring(*order, rails);
  }

 private:
  const std::string& host(size_t i) const { return cluster_.nodes[i].name; }

  [[noreturn]] void fail(const char* what, const std::string& why) const {
    throw InputError(file_, "cables", fmt::format("make no {}: {}; add a cable", what, why));
  }

  std::string first_gap() const {
    for (size_t i = 0; i < matrix_.size(); ++i) {
      for (size_t j = i + 1; j < matrix_.size(); ++j) {
        if (matrix_[i][j].empty()) return fmt::format("none joins {} and {}", host(i), host(j));
      }
    }
    return {};
  }

  size_t most_rails() const {
    size_t most = 0;
    for (const auto& row : matrix_) {
      for (const auto& cell : row) most = std::max(most, cell.size());
    }
    return most;
  }

  std::string no_ring() const {
    for (size_t i = 0; i < matrix_.size(); ++i) {
      std::vector<std::string> peers;
      for (size_t j = 0; j < matrix_.size(); ++j) {
        if (!matrix_[i][j].empty()) peers.push_back(host(j));
      }
      if (peers.empty()) return fmt::format("{} is cabled to nobody", host(i));
      if (peers.size() == 1 && matrix_.size() > 2) {
        return fmt::format("{} is cabled to {} alone", host(i), peers[0]);
      }
    }
    return "no order of the hosts leads round";
  }

  Plan mesh() const {
    Plan plan{Shape::mesh, cluster_, matrix_, {}};
    for (size_t i = 0; i < matrix_.size(); ++i) {
      for (size_t j = i + 1; j < matrix_.size(); ++j) {
        if (matrix_[i][j].size() == most_rails()) continue;
        plan.remarks.push_back(fmt::format("{} and {} have {} of the {} rails that others have",
                                           host(i), host(j), matrix_[i][j].size(), most_rails()));
      }
    }
    return plan;
  }

  Plan ring(const Order& order, size_t rails) const {
    Plan plan{Shape::ring, cluster_, {}, {}};
    size_t size = order.size();
    plan.cluster.nodes.clear();
    plan.matrix.assign(size, std::vector<std::vector<std::string>>(size));
    std::vector<std::string> names;
    for (size_t i = 0; i < size; ++i) {
      plan.cluster.nodes.push_back(cluster_.nodes[order[i]]);
      names.push_back(host(order[i]));
      size_t right = (i + 1) % size;
      for (size_t k = 0; k < rails; ++k) {
        if (size == 2 && i == 1) break;  // the one pair is done
        plan.matrix[i][right].push_back(matrix_[order[i]][order[right]][k]);
        plan.matrix[right][i].push_back(matrix_[order[right]][order[i]][k]);
      }
    }
    if (!std::is_sorted(order.begin(), order.end())) {
      plan.remarks.push_back(fmt::format("the ranks go round as {}", fmt::join(names, ", ")));
    }
    remark_unused(plan);
    return plan;
  }

  void remark_unused(Plan& plan) const {
    Cabling cabling(plan.cluster);
    for (const Cabling::Cable& cable : cabling.cables()) {
      const Plug& a = cable.ends[0];
      const Plug& b = cable.ends[1];
      if (a.node < 0 || b.node < 0) continue;
      const auto& cell = plan.matrix[static_cast<size_t>(a.node)][static_cast<size_t>(b.node)];
      if (std::find(cell.begin(), cell.end(), a.device) != cell.end()) continue;
      plan.remarks.push_back(fmt::format(
          "cable {} ({}-{}) is left out: {}", cable.name, plug_text(plan, a), plug_text(plan, b),
          cell.empty() ? "its hosts are not neighbours"
                       : "a ring takes as many rails as every neighbour has"));
    }
  }

  static std::string plug_text(const Plan& plan, const Plug& plug) {
    return fmt::format("{}:{}", plan.cluster.nodes[static_cast<size_t>(plug.node)].name,
                       plug.device);
  }

  const std::string& file_;
  const fabric::ClusterSpec& cluster_;
  DeviceMatrix matrix_;
};

}  // namespace

const char* name(Shape shape) {
  return shape == Shape::any ? "any" : shape == Shape::mesh ? "mesh" : "ring";
}

Shape parse_shape(const std::string& text) {
  for (Shape shape : {Shape::any, Shape::mesh, Shape::ring}) {
    if (text == name(shape)) return shape;
  }
  throw InputError("--backend", text,
                   "is no group over RDMA; " + suggest(text, {"any", "mesh", "ring"}));
}

Plan plan_group(const std::string& file, const fabric::ClusterSpec& cluster, Shape shape) {
  return Planner(file, cluster).plan(shape);
}

std::string hostfile_text(const Plan& plan, const std::vector<Host>& machines) {
  Json rows = Json::parse(matrix_text(plan.matrix));
  Json hosts = Json::array();
  for (size_t i = 0; i < plan.matrix.size(); ++i) {
    const std::string& name = plan.cluster.nodes[i].name;
    auto known = std::find_if(machines.begin(), machines.end(),
                              [&](const Host& host) { return host.ssh == name; });
    Json ips = known == machines.end() ? Json::array() : Json(known->ips);
    hosts.push_back(Json{{"ssh", name}, {"ips", ips}, {"rdma", rows[i]}});
  }
  Json json{{"backend", plan.shape == Shape::ring ? "jaccl-ring" : "jaccl"}, {"hosts", hosts}};
  return json.dump(2) + "\n";
}

}  // namespace railyard::harness
