// What a rank's process is told.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "railyard/fabric.h"
#include "railyard/scenario.h"

namespace railyard::harness {

struct RankSurroundings {
  int coordinator_port = 0;  // on 127.0.0.1
  std::string matrix_file;
  GroupPlan group;
  // Of a program that is not Railyard's own: where the system's view of its devices may be written.
  // The path layer then stands in front of its C library, where there is one.
  std::string system_tree;
};

// The variables of the fabric, of the loader and of JACCL for `rank`, which runs on the node of the
// same number.
std::vector<std::pair<std::string, std::string>> rank_environment(
    const fabric::Fabric& fabric, int rank, const RankSurroundings& surroundings);

// Of these, those that tell a rank of its group: "ip:port", and where its matrix lies.
std::vector<std::pair<std::string, std::string>> group_environment(int rank,
                                                                   const std::string& coordinator,
                                                                   const std::string& matrix_file,
                                                                   const GroupPlan& group);

}  // namespace railyard::harness
