// Splits of a group, checked against a plain reading of MPI_Comm_split.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "railyard/group.h"

namespace railyard::test {

class SubGroups {
 public:
  explicit SubGroups(Group& group) : current_(&group) {}

  // `colors` and `keys`: a number for each rank of the current group, "0,0,1". Checks rank and
  // size, runs every collective and sends round the sub-group; prints "sub BACKEND RANK/SIZE" or
  // "sub none". Throws WrongData.
  void split(const std::string& colors, const std::string& keys);
  // The last sub-group, if any, becomes the current group.
  void descend();
  // Sums in the current group and in its last sub-group at the same time.
  void both(int repeat);
  void drop() { subs_.clear(); }

 private:
  Group* current_;
  std::vector<std::unique_ptr<Group>> subs_;
};

}  // namespace railyard::test
