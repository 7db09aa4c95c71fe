#include "cluster/environment.h"

#include <chrono>
#include <cstdlib>

#include "platform/executable.h"

namespace railyard::harness {

using Variables = std::vector<std::pair<std::string, std::string>>;

Variables group_environment(int rank, const std::string& coordinator,
                            const std::string& matrix_file, const GroupPlan& group) {
  Variables variables;
  auto add = [&](const std::string& name, const std::string& value) {
    variables.emplace_back(name, value);
  };
  for (const char* name : {"JACCL_RANK", "MLX_RANK"}) add(name, std::to_string(rank));
  for (const char* name : {"JACCL_COORDINATOR", "MLX_JACCL_COORDINATOR"}) add(name, coordinator);
  for (const char* name : {"JACCL_IBV_DEVICES", "MLX_IBV_DEVICES"}) add(name, matrix_file);
  for (const char* name : {"JACCL_RING", "MLX_JACCL_RING"}) {
    add(name, group.backend == "ring" ? "1" : "0");
  }
  add("RAILYARD_BACKEND", group.backend);
  if (group.deadline) {
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*group.deadline);
    add("RAILYARD_DEADLINE_MS", std::to_string(ms.count()));
  }
  return variables;
}

Variables rank_environment(const fabric::Fabric& fabric, int rank,
                           const RankSurroundings& surroundings) {
  Variables variables = fabric.environment(rank);
  auto add = [&](const std::string& name, const std::string& value) {
    variables.emplace_back(name, value);
  };
  std::string coordinator = "127.0.0.1:" + std::to_string(surroundings.coordinator_port);
  for (auto& variable :
       group_environment(rank, coordinator, surroundings.matrix_file, surroundings.group)) {
    variables.push_back(std::move(variable));
  }
  add(loader_variable(), loader_path(library_directory()));
  if (std::string layer = path_layer(); !layer.empty() && !surroundings.system_tree.empty()) {
    const char* before = std::getenv("LD_PRELOAD");
    add("LD_PRELOAD", before && *before ? layer + ":" + before : layer);
    add("RAILYARD_SYSFS", surroundings.system_tree);
  }
  return variables;
}

}  // namespace railyard::harness
