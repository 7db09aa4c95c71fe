// Descriptors that stand for /dev/infiniband/rdma_cm.
#pragma once

namespace railyard::preload {

// A new event channel of the connection manager: a descriptor, or -1 with errno.
int open_event_channel(int flags);

}  // namespace railyard::preload
