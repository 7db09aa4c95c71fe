// Address handles: where a datagram goes.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>

namespace railyard::sim {

struct AddressHandle : ibv_ah {
  ibv_ah_attr attributes;
  int32_t port;  // of the fabric; -1: no port has this address (or it is a multicast group)
  bool multicast;
};

inline constexpr uint32_t kMulticastNumber = 0xffffff;
inline constexpr uint32_t kGrhBytes = 40;  // before every received datagram, whether it has a GRH or not

}  // namespace railyard::sim
