// How ranks meet without an address that all were given: through an all-gather that they have
// already, for instance that of the program which started them.
#pragma once

#include <functional>
#include <memory>

#include "railyard/group.h"

namespace railyard {

// `output` gets size() pieces of `bytes` bytes: every rank's `input`, in the order of ranks.
// Blocks.
using AllGather = std::function<void(const void* input, void* output, size_t bytes)>;

// As Group::create, but rank 0 listens on a port that the system chooses and tells the others by
// `all_gather`. Without config.coordinator it listens where other machines reach this one, or, if
// all ranks are on one machine, there alone.
std::unique_ptr<Group> create_by(const Config& config, const AllGather& all_gather);

}  // namespace railyard
