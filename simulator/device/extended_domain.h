// XRC domains: what joins processes of one node, so that a message to a queue pair of one may end
// in a shared receive queue of another.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>

namespace railyard::sim {

class Context;

// A domain as one open device has it. All who opened it by the same file know it by the same
// number. Guarded by its context's lock.
struct ExtendedDomain : ibv_xrcd {
  uint64_t number = 0;
  uint32_t share = 0;  // its record
  uint32_t users = 0;  // queue pairs and shared receive queues made with it

  // Opens the domain that belongs to the file behind `descriptor`, making it if need be and `flags`
  // (O_CREAT, O_EXCL) allow; a new one that nobody else can open if that is -1. nullptr and errno.
  static ExtendedDomain* open(Context& context, int descriptor, int flags);
  // 0, or EBUSY.
  int close();

  static ExtendedDomain* from(ibv_xrcd* domain) { return static_cast<ExtendedDomain*>(domain); }
};

}  // namespace railyard::sim
