// What is wrong with a device matrix, and what a group needs of its devices.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "railyard/nearest.h"
#include "railyard/topology.h"
#include "scenario/profile_rules.h"
#include "scenario/reader.h"
#include "topology/cabling.h"

namespace railyard::harness {

namespace {

using Cell = std::vector<std::string>;

// As it is written in a matrix.
std::string cell_text(const Cell& cell) {
  if (cell.empty()) return "null";
  if (cell.size() == 1) return Json(cell[0]).dump();
  return fmt::format("[\"{}\"]", fmt::join(cell, "\", \""));
}

std::string rails_text(size_t count) {
  return fmt::format("{} rail{}", count, count == 1 ? "" : "s");
}

bool has(const Cell& cell, const std::string& device) {
  return std::find(cell.begin(), cell.end(), device) != cell.end();
}

class Inspector {
 public:
  Inspector(const Topology& topology, const std::optional<fabric::ClusterSpec>& cables,
            const std::string& profile)
      : topology_(topology), matrix_(*topology.matrix), size_(matrix_.size()), profile_(profile) {
    if (!cables) return;
    cluster_ = &*cables;
    cabling_.emplace(*cables);
    find_nodes();
  }

  void check_cells() {
    for (size_t i = 0; i < size_; ++i) {
      for (size_t j = 0; j < size_; ++j) {
        if (i == j && !matrix_[i][j].empty()) {
          fault(i, j, "names a device of a host to itself; write null");
        }
        if (i != j) check_cell(i, j);
      }
    }
  }

  void check_pairs() {
    for (size_t i = 0; i < size_; ++i) {
      for (size_t j = i + 1; j < size_; ++j) {
        if (check_counts(i, j)) check_crossing(i, j);
        if (cabling_) remark_unused(i, j);
      }
    }
    if (!cabling_ && size_ > 1) {
      remark("",
             "without the cables nobody can tell whether rails are crossed; give --cable, "
             "--cables or --hosts");
    }
  }

  // Ports of a point-to-point device take one cable each.
  void check_devices(bool point_to_point) {
    if (!point_to_point || cabling_) return;  // with cables, check_cell has said where each leads
    for (size_t i = 0; i < size_; ++i) {
      std::map<std::string, size_t> first;
      for (size_t j = 0; j < size_; ++j) {
        for (const std::string& device : matrix_[i][j]) {
          auto [other, fresh] = first.emplace(device, j);
          if (fresh || other->second == j) continue;
          fault(
              i, j,
              fmt::format("{} of {} stands in cell {} as well; a device has one port for one "
                          "cable, to {} or to {}",
                          device, host(i), place(i, other->second), host(other->second), host(j)));
        }
      }
    }
  }

  void check_shape(Shape shape) {
    std::string mesh = mesh_problem(), ring = ring_problem();
    result_.backend = mesh.empty() ? "mesh" : ring.empty() ? "ring" : "tcp";
    result_.reason = mesh.empty()   ? "every pair has a rail"
                     : ring.empty() ? "all neighbours have equal rails, but " + mesh
                                    : mesh + ", and " + ring;
    if (shape == Shape::mesh && !mesh.empty()) {
      fault_at("", "no mesh: " + mesh + "; add a cable or use a ring");
    } else if (shape == Shape::ring && !ring.empty()) {
      fault_at("", "no ring: " + ring + "; mend that or use a mesh");
    } else if (result_.backend == "tcp") {
      fault_at("", "no group over RDMA: " + result_.reason + "; add a cable");
    } else if (shape == Shape::any && !ring.empty() && most_rails() > 1) {
      remark("", "more than one rail, but no ring to use them: " + ring);
    }
    if (shape != Shape::any) result_.backend = name(shape);
  }

  // A group takes one context and one region of a device, and two queue pairs for each peer that it
  // reaches through it (runtime/README.md: one for small messages, one for large).
  void check_budget(const ProfileRules& rules) {
    size_t queue_pairs = rules.limit("queue_pairs"), regions = rules.limit("memory_regions");
    size_t most = 0;
    for (size_t i = 0; i < size_; ++i) {
      std::map<std::string, size_t> peers;
      for (size_t j = 0; j < size_; ++j) {
        if (i == j || !neighbours(i, j)) continue;
        for (const std::string& device : matrix_[i][j]) ++peers[device];
      }
      for (const auto& [device, count] : peers) {
        most = std::max(most, 2 * count);
        if (queue_pairs == 0 || 2 * count <= queue_pairs) continue;
        fault_at(fmt::format("{}{}", topology_.rows, i),
                 fmt::format("{} of {} would carry {} peers with two queue pairs each, and the "
                             "device has {}; spread the peers over more devices",
                             device, host(i), count, queue_pairs));
      }
    }
    if (most == 0 || (queue_pairs == 0 && regions == 0)) return;
    size_t groups =
        std::min(queue_pairs > 0 ? queue_pairs / most : SIZE_MAX, regions > 0 ? regions : SIZE_MAX);
    if (groups == 0) return;
    note_ = fmt::format(
        "{}: {} of {} queue pairs and 1 of {} regions a device; {} sub-groups of "
        "this size over RDMA beside it",
        profile_, most, queue_pairs, regions, groups - 1);
  }

  Inspection result() {
    std::stable_partition(result_.findings.begin(), result_.findings.end(),
                          [](const Finding& finding) { return finding.error; });
    result_.budget = note_;
    return std::move(result_);
  }

 private:
  // Hosts are found among the nodes by name, or else stand in the same order.
  void find_nodes() {
    for (size_t i = 0; i < size_; ++i) {
      for (size_t node = 0; node < cluster_->nodes.size(); ++node) {
        if (cluster_->nodes[node].name == topology_.hosts[i]) {
          node_of_.push_back(static_cast<int>(node));
        }
      }
    }
    if (node_of_.size() == size_) return;
    if (!topology_.machines.empty() && !node_of_.empty()) {
      throw InputError(topology_.file, "hosts",
                       "only some hosts are named in the cables; use the same names in both");
    }
    if (cluster_->nodes.size() != size_) {
      throw InputError(topology_.file, "",
                       fmt::format("has {} ranks, and the cables join {} hosts; give the cables of "
                                   "the same cluster",
                                   size_, cluster_->nodes.size()));
    }
    node_of_.clear();
    for (size_t i = 0; i < size_; ++i) node_of_.push_back(static_cast<int>(i));
  }

  std::string host(size_t i) const {
    return cluster_ ? cluster_->nodes[static_cast<size_t>(node_of_[i])].name : topology_.hosts[i];
  }

  std::string node_name(int node) const { return cluster_->nodes[static_cast<size_t>(node)].name; }

  std::string place(size_t i, size_t j) const {
    return topology_.rows.empty() && topology_.machines.empty()
               ? fmt::format("{}/{}", i, j)
               : fmt::format("{}{}/rdma/{}", topology_.rows, i, j);
  }

  void fault_at(const std::string& where, const std::string& text) {
    result_.findings.push_back({true, where, text});
  }
  void fault(size_t i, size_t j, const std::string& text) {
    fault_at(place(i, j), text);
    result_.cells.insert({i, j});
  }
  void remark(const std::string& where, const std::string& text) {
    result_.findings.push_back({false, where, text});
  }

  void check_cell(size_t i, size_t j) {
    const Cell& cell = matrix_[i][j];
    for (size_t k = 0; k < cell.size(); ++k) {
      if (std::find(cell.begin(), cell.begin() + static_cast<std::ptrdiff_t>(k), cell[k]) !=
          cell.begin() + static_cast<std::ptrdiff_t>(k)) {
        fault(i, j, fmt::format("names {} twice; each rail is a device of its own", cell[k]));
        return;
      }
      if (cabling_ && !check_plug(i, j, cell[k])) return;
    }
  }

  // Whether the device is there and its cable leads to that host.
  bool check_plug(size_t i, size_t j, const std::string& device) {
    const fabric::NodeSpec& node = cluster_->nodes[static_cast<size_t>(node_of_[i])];
    if (!has(node.devices, device)) {
      fault(i, j,
            fmt::format("{} has no device '{}' with a cable; {}", host(i), device,
                        suggest(device, node.devices)));
      return false;
    }
    std::optional<Plug> far = cabling_->far_end({node_of_[i], device});
    if (!far) {
      fault(i, j,
            fmt::format("no cable is in {} of {}; take it out of the cell, or plug one in", device,
                        host(i)));
      return false;
    }
    if (far->node < 0 || far->node == node_of_[j]) return true;
    fault(i, j,
          fmt::format("{} of {} is cabled to {}, not to {}; write {}", device, host(i),
                      node_name(far->node), host(j), cell_text(cabled(i, j))));
    return false;
  }

  // All devices of i whose cables lead to j, in the order of the cables.
  Cell cabled(size_t i, size_t j) const {
    Cell cell;
    for (const Cabling::Cable& cable : cabling_->cables()) {
      for (int end : {0, 1}) {
        if (cable.ends[end].node == node_of_[i] && cable.ends[1 - end].node == node_of_[j]) {
          cell.push_back(cable.ends[end].device);
        }
      }
    }
    return cell;
  }

  // The other ends of a cell's rails, in the same order; empty where not all are known.
  Cell other_ends(size_t i, size_t j) const {
    Cell cell;
    for (const std::string& device : matrix_[i][j]) {
      std::optional<Plug> far = cabling_ ? cabling_->far_end({node_of_[i], device}) : std::nullopt;
      if (!far || far->node != node_of_[j]) return {};
      cell.push_back(far->device);
    }
    return cell;
  }

  bool check_counts(size_t i, size_t j) {
    const Cell& there = matrix_[i][j];
    const Cell& back = matrix_[j][i];
    if (there.size() == back.size()) return true;
    bool short_back = back.size() < there.size();
    size_t a = short_back ? i : j, b = short_back ? j : i;  // b's cell is the shorter one
    Cell right = other_ends(a, b);
    fault(b, a,
          fmt::format("half-listed: {} here, {} in cell {}; {}", rails_text(matrix_[b][a].size()),
                      matrix_[a][b].size(), place(a, b),
                      right.empty() ? "name both ends of each cable"
                                    : fmt::format("write {}", cell_text(right))));
    return false;
  }

  void check_crossing(size_t i, size_t j) {
    Cell right = other_ends(i, j);
    if (right.empty() || right == matrix_[j][i]) return;
    for (const std::string& device : matrix_[j][i]) {
      std::optional<Plug> far = cabling_->far_end({node_of_[j], device});
      if (!far || far->node != node_of_[i]) return;  // said already
    }
    size_t k = 0;
    while (right[k] == matrix_[j][i][k]) ++k;
    const std::string& device = matrix_[i][j][k];
    fault(j, i,
          fmt::format("crossed rails: rail {} is {} of {} in cell {}, whose cable {} leads to {}, "
                      "but {} here; write {}",
                      k, device, host(i), place(i, j),
                      cabling_->cable_of({node_of_[i], device})->name, right[k], matrix_[j][i][k],
                      cell_text(right)));
  }

  void remark_unused(size_t i, size_t j) {
    for (const Cabling::Cable& cable : cabling_->cables()) {
      for (int end : {0, 1}) {
        const Plug& a = cable.ends[end];
        const Plug& b = cable.ends[1 - end];
        if (a.node != node_of_[i] || b.node != node_of_[j]) continue;
        if (has(matrix_[i][j], a.device) || has(matrix_[j][i], b.device)) continue;
        remark(place(i, j), fmt::format("cable {} from {} of {} to {} of {} is not used",
                                        cable.name, a.device, host(i), b.device, host(j)));
      }
    }
  }

  std::string mesh_problem() const {
    for (size_t i = 0; i < size_; ++i) {
      for (size_t j = 0; j < size_; ++j) {
        if (i != j && matrix_[i][j].empty()) {
          return fmt::format("{} has no device to {} (cell {})", host(i), host(j), place(i, j));
        }
      }
    }
    return {};
  }

  std::string ring_problem() const {
    for (size_t i = 0; i < size_ && size_ > 1; ++i) {
      size_t right = (i + 1) % size_;
      for (auto [a, b] : {std::pair(i, right), std::pair(right, i)}) {
        size_t rails = matrix_[a][b].size();
        if (rails == 0) {
          return fmt::format("the neighbours {} and {} have no rail (cell {})", host(a), host(b),
                             place(a, b));
        }
        if (rails != matrix_[0][1].size()) {
          return fmt::format("{} to {} (cell {}), {} to {} (cell {}), and all must have the same",
                             rails_text(rails), host(b), place(a, b),
                             rails_text(matrix_[0][1].size()), host(1), place(0, 1));
        }
      }
    }
    return {};
  }

  size_t most_rails() const {
    size_t most = 0;
    for (const auto& row : matrix_) {
      for (const Cell& cell : row) most = std::max(most, cell.size());
    }
    return most;
  }

  // Whether the group of the chosen kind joins these two.
  bool neighbours(size_t i, size_t j) const {
    return result_.backend != "ring" || (i + 1) % size_ == j || (j + 1) % size_ == i;
  }

  const Topology& topology_;
  const DeviceMatrix& matrix_;
  size_t size_;
  const std::string& profile_;
  const fabric::ClusterSpec* cluster_ = nullptr;
  std::optional<Cabling> cabling_;
  std::vector<int> node_of_;  // of each rank
  Inspection result_;
  std::string note_;
};

std::vector<std::string> devices_of(const DeviceMatrix& matrix) {
  std::set<std::string> devices;
  for (const auto& row : matrix) {
    for (const Cell& cell : row) devices.insert(cell.begin(), cell.end());
  }
  return {devices.begin(), devices.end()};
}

}  // namespace

bool Inspection::sound() const { return findings.empty() || !findings.front().error; }

Inspection inspect(const Topology& topology, const std::optional<fabric::ClusterSpec>& cables,
                   Shape shape, const std::string& profile) {
  std::string known = profile.empty() ? profile_for(devices_of(*topology.matrix)) : profile;
  std::optional<ProfileRules> rules;
  if (!known.empty()) rules.emplace(known);
  Inspector inspector(topology, cables, known);
  inspector.check_cells();
  inspector.check_pairs();
  inspector.check_devices(rules && rules->names("topology", "point-to-point"));
  inspector.check_shape(shape);
  if (rules) inspector.check_budget(*rules);
  return inspector.result();
}

}  // namespace railyard::harness
