// The verbs by number, for gates, faults and views.
#pragma once

#include <cstdint>
#include <string>

#include "fabric/layout.h"

namespace railyard::fabric {

// clang-format off
#define RAILYARD_VERBS(X)                                                                          \
  X(get_device_list) X(open_device) X(close_device) X(query_device) X(query_port) X(query_gid)     \
  X(query_pkey) X(alloc_pd) X(dealloc_pd) X(reg_mr) X(dereg_mr) X(rereg_mr) X(create_comp_channel) \
  X(destroy_comp_channel) X(create_cq) X(destroy_cq) X(resize_cq) X(poll_cq) X(req_notify_cq)      \
  X(get_cq_event) X(create_qp) X(destroy_qp) X(modify_qp) X(query_qp) X(post_send) X(post_recv)    \
  X(create_srq) X(destroy_srq) X(modify_srq) X(query_srq) X(post_srq_recv) X(create_ah)            \
  X(destroy_ah) X(get_async_event) X(attach_mcast) X(detach_mcast) X(alloc_mw) X(dealloc_mw)       \
  X(bind_mw) X(open_xrcd) X(close_xrcd) X(open_qp)
// clang-format on

enum class Verb : uint32_t {
  none,
#define X(name) name,
  RAILYARD_VERBS(X)
#undef X
      count,
};
static_assert(static_cast<uint32_t>(Verb::count) <= layout::kVerbCount);

// "ibv_post_recv"; "" for none.
const char* verb_name(Verb verb);

// Verb::none if there is no such verb.
Verb verb_by_name(const std::string& name);

}  // namespace railyard::fabric
