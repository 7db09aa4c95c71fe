#include <fmt/format.h>

#include "diagnosis/rules.h"

namespace railyard::harness {

namespace {

bool over_tcp(const std::string& backend) { return backend == "tcp" || backend == "tcp-ring"; }

// Workers of others call their ways of talking what they like.
bool is_backend(const std::string& name) {
  return name == "mesh" || name == "ring" || name == "local" || over_tcp(name);
}

// Every rank has a rail to the next: RDMA would have done.
bool rdma_is_there(const DeviceMatrix& matrix) {
  for (size_t i = 0; i < matrix.size(); ++i) {
    if (matrix[i][(i + 1) % matrix.size()].empty()) return false;
  }
  return matrix.size() > 1;
}

}  // namespace

std::optional<Diagnosis> group_too_small(const View& view) {
  Diagnosis diagnosis{"group-too-small", "", {}, {}};
  for (const RankEvidence& rank : view.evidence().ranks) {
    if (rank.group_size == 0) continue;
    if (static_cast<size_t>(rank.group_size) >= view.evidence().ranks.size()) continue;
    std::string line = fmt::format("rank {} made a group of {} where {} ranks were started",
                                   rank.rank, rank.group_size, view.evidence().ranks.size());
    if (diagnosis.headline.empty()) {
      diagnosis.headline = line;
    } else {
      diagnosis.details.push_back(line);
    }
    add_name(diagnosis, fmt::format("rank {}", rank.rank));
  }
  if (diagnosis.headline.empty()) return std::nullopt;
  return diagnosis;
}

std::optional<Diagnosis> backend_replaced(const View& view) {
  const std::string& wanted = view.evidence().backend;
  for (const RankEvidence& rank : view.evidence().ranks) {
    if (!is_backend(rank.backend)) continue;
    bool replaced = wanted == "any"
                        ? over_tcp(rank.backend) && rdma_is_there(view.evidence().matrix)
                        : rank.backend != wanted;
    if (!replaced) continue;
    Diagnosis diagnosis{"backend-replaced", "", {}, {}};
    diagnosis.headline =
        wanted == "any" ? fmt::format("rank {} chose {} although every rank has rails to the next",
                                      rank.rank, rank.backend)
                        : fmt::format("rank {} was told to use {} and used {}", rank.rank, wanted,
                                      rank.backend);
    add_name(diagnosis, fmt::format("rank {}", rank.rank));
    add_name(diagnosis, rank.backend);
    return diagnosis;
  }
  return std::nullopt;
}

}  // namespace railyard::harness
