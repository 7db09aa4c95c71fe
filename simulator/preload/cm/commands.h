// The commands of /dev/infiniband/rdma_cm, ABI version 4 of <rdma/rdma_user_cm.h>.
#pragma once

#include <cstddef>

#include "cm/manager.h"

namespace railyard::cm {

// Carries out what a program wrote to a channel: 0 or an errno, as write() would set it.
int carry_out(Manager& manager, int channel, const void* data, size_t size);

}  // namespace railyard::cm
