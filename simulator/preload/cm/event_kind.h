// The numbers of enum rdma_cm_event_type, whose header and the kernel's cannot be included
// together.
#pragma once

#include <cstdint>

namespace railyard::cm {

enum EventKind : uint32_t {
  kAddressResolved = 0,
  kAddressError = 1,
  kRouteResolved = 2,
  kConnectRequest = 4,
  kConnectResponse = 5,
  kUnreachable = 7,
  kRejected = 8,
  kEstablished = 9,
  kDisconnected = 10,
  kMulticastJoin = 12,
};

}  // namespace railyard::cm
