// The verbs of this host's library, found when they are needed: a host without one can still say
// so.
#pragma once

#include <infiniband/verbs.h>

#include <string>

#undef ibv_query_port
#undef ibv_reg_mr

namespace railyard::host {

struct VerbsTable {
  ibv_device** (*list)(int*);
  const char* (*name)(ibv_device*);
  __be64 (*guid)(ibv_device*);
  ibv_context* (*open)(ibv_device*);
  int (*close)(ibv_context*);
  int (*port)(ibv_context*, uint8_t, ibv_port_attr*);
  int (*gid)(ibv_context*, uint8_t, int, ibv_gid*);
  ibv_pd* (*alloc_pd)(ibv_context*);
  ibv_mr* (*reg_mr)(ibv_pd*, void*, size_t, int);
  ibv_cq* (*create_cq)(ibv_context*, int, void*, ibv_comp_channel*, int);
  ibv_qp* (*create_qp)(ibv_pd*, ibv_qp_init_attr*);
  int (*modify_qp)(ibv_qp*, ibv_qp_attr*, int);
  int (*destroy_qp)(ibv_qp*);
};

// Loads the library. On failure `error` says why, and the table must not be used.
VerbsTable load_verbs(std::string& error);

// "fe80::1", as people write GIDs.
std::string text_of(const ibv_gid& gid);

}  // namespace railyard::host
