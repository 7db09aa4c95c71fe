// How the ranks of a group part into sub-groups.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bootstrap/side_channel.h"
#include "net/socket.h"
#include "railyard/group.h"

namespace railyard {

// The sub-group that this rank will be in.
struct SubGroup {
  int color = Group::kUndefinedColor;
  std::vector<int> members;  // ranks of the parent, in the order of the sub-group; empty: none
  int rank = -1;             // in it
  std::string coordinator;
  Listener listener;  // rank 0's
};

// Every rank of the parent calls it; blocks until all have. Nobody connects before all know all.
SubGroup agree_on_split(const Config& parent, SideChannel& side_channel, int color, int key);

// Connects the sub-group: null without a colour, a local group for a lone rank. `backend` is the
// parent's.
std::unique_ptr<Group> make_sub_group(const Config& parent, Backend backend, SubGroup part);

}  // namespace railyard
