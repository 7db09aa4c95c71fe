// The verbs that the runtime calls, as a table of functions: found in the system's library at run
// time, or linked. The data path (post_send, post_recv, poll_cq) is not here: it goes through the
// context's own table, as the header's inline functions do.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>

namespace railyard {

// Members have no ibv_ prefix because verbs.h defines some of the names as macros. Prototypes are
// written by hand for the same reason; query_port's is the one that the library's symbol has.
struct Library {
  ibv_device** (*get_device_list)(int* count);
  void (*free_device_list)(ibv_device** list);
  const char* (*get_device_name)(ibv_device* device);
  ibv_context* (*open_device)(ibv_device* device);
  int (*close_device)(ibv_context* context);
  int (*query_device)(ibv_context* context, ibv_device_attr* attributes);
  int (*query_port)(ibv_context* context, uint8_t port, ibv_port_attr* attributes);
  int (*query_gid)(ibv_context* context, uint8_t port, int index, ibv_gid* gid);
  ibv_pd* (*alloc_pd)(ibv_context* context);
  int (*dealloc_pd)(ibv_pd* domain);
  ibv_mr* (*reg_mr)(ibv_pd* domain, void* address, size_t bytes, int access);
  int (*dereg_mr)(ibv_mr* region);
  ibv_cq* (*create_cq)(ibv_context* context, int entries, void* user, ibv_comp_channel* channel,
                       int vector);
  int (*destroy_cq)(ibv_cq* queue);
  ibv_qp* (*create_qp)(ibv_pd* domain, ibv_qp_init_attr* attributes);
  int (*modify_qp)(ibv_qp* pair, ibv_qp_attr* attributes, int mask);
  int (*query_qp)(ibv_qp* pair, ibv_qp_attr* attributes, int mask, ibv_qp_init_attr* initial);
  int (*destroy_qp)(ibv_qp* pair);
  // Null where the library has none: programs do without.
  int (*get_async_event)(ibv_context* context, ibv_async_event* event);
  void (*ack_async_event)(ibv_async_event* event);
};

// The table, loaded on the first call and kept for the life of the process. Throws Error (device)
// with the loader's reason when there is no verbs library. Thread-safe.
const Library& library();

// Apple's addition to the link layers of verbs.h.
inline constexpr int kLinkLayerThunderbolt = 100;

// What programs without a header for Apple's library rely on too: the layout of the inline data
// path.
static_assert(offsetof(ibv_context, ops) == 8);
static_assert(offsetof(ibv_qp, qp_num) == 52);
static_assert(offsetof(ibv_mr, lkey) == 36);
static_assert(sizeof(ibv_wc) == 48 && sizeof(ibv_sge) == 16 && sizeof(ibv_recv_wr) == 32);
static_assert(sizeof(ibv_qp_attr) == 144 && sizeof(ibv_qp_init_attr) == 64);

}  // namespace railyard
