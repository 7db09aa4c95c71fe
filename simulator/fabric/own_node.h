// Which node a process is a program on.
#pragma once

#include <cstdint>
#include <optional>

namespace railyard::fabric {

// As RAILYARD_NODE says: a number; or "rank", for programs whose launcher numbers them (mpirun,
// srun), rank r being on node r modulo `nodes`. Nothing: it says neither, or nobody has numbered
// this process, as the launcher itself.
std::optional<uint32_t> own_node(uint32_t nodes);

}  // namespace railyard::fabric
