// What the kernel would show of a node's devices under /sys and /dev.
#pragma once

#include <string>

#include "home.h"

namespace railyard::preload {

// Character devices' numbers, as Linux gives them: uverbs and umad share a major.
inline constexpr unsigned kUverbsMajor = 231, kUverbsFirstMinor = 192;
inline constexpr unsigned kRdmaCmMajor = 10, kRdmaCmMinor = 121;

// Writes the tree at `place`: class/infiniband, class/infiniband_verbs, class/infiniband_mad,
// class/misc/rdma_cm, the devices behind them, and dev/infiniband. It is whole from the moment that
// it is there, also when several processes write it at once; port states are those of this moment.
// False, with errno, when it cannot be written.
bool write_system_tree(const Home& home, const std::string& place);

}  // namespace railyard::preload
