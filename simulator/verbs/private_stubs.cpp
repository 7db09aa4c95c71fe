// The private version nodes, which hardware providers and ibv_devinfo bind, and the public nodes
// that are newer than this machine's header may be.
//
// perftest links two providers with all their symbols bound at start-up, so each must be there;
// hardly any is called, because our devices are none of theirs. One build carries the node names of
// several rdma-core releases (34: up to 56, 59: 59 to 61, 64: 64), so it stands in for each of
// them.
//
// Callers see C functions of many signatures; the answers below fit all of them, since on every
// platform with version nodes an argument that nobody reads is harmless.
#ifdef __linux__

#include <infiniband/verbs.h>

#include <cerrno>
#include <cstddef>

#include "verbs/export.h"

// The library's own (verbs/device queries): a GID's type in the numbering of sysfs.
extern "C" int railyard_query_gid_type(struct ibv_context* context, uint8_t port_num,
                                       unsigned index, unsigned* type);

RAILYARD_VERB int railyard_abi_unsupported() { return errno = EOPNOTSUPP; }

RAILYARD_VERB int railyard_abi_negative() {
  errno = EOPNOTSUPP;
  return -1;
}

RAILYARD_VERB void* railyard_abi_null() {
  errno = EOPNOTSUPP;
  return nullptr;
}

// Registration of drivers and logging: nothing to do, nothing to say.
RAILYARD_VERB size_t railyard_abi_nothing() { return 0; }

RAILYARD_VERB int railyard_abi_gid_type(struct ibv_context* context, uint8_t port_num,
                                        unsigned index, unsigned* type) {
  return railyard_query_gid_type(context, port_num, index, type);
}

// An object, not a function: whether destroy verbs may fail with EIO when a device has gone away.
RAILYARD_VERB bool railyard_abi_flag;
bool railyard_abi_flag = false;

#define AT(body, name, node) asm(".symver " #body "," #name "@" node);
#define PRIVATE(body, name)                           \
  AT(railyard_abi_##body, name, "IBVERBS_PRIVATE_34") \
  AT(railyard_abi_##body, name, "IBVERBS_PRIVATE_59") \
  AT(railyard_abi_##body, name, "IBVERBS_PRIVATE_64")

PRIVATE(gid_type, ibv_query_gid_type)
PRIVATE(flag, verbs_allow_disassociate_destroy)

PRIVATE(nothing, __ioctl_final_num_attrs)
PRIVATE(nothing, __verbs_log)
PRIVATE(nothing, verbs_init_cq)
PRIVATE(nothing, verbs_set_ops)
PRIVATE(nothing, verbs_uninit_context)
PRIVATE(nothing, verbs_register_driver_34)
AT(railyard_abi_nothing, verbs_register_driver_59, "IBVERBS_PRIVATE_59")
AT(railyard_abi_nothing, verbs_register_driver_64, "IBVERBS_PRIVATE_64")

PRIVATE(null, _verbs_init_and_alloc_context)
PRIVATE(null, verbs_open_device)

PRIVATE(negative, ibv_cmd_poll_cq)
PRIVATE(negative, ibv_read_ibdev_sysfs_file)

PRIVATE(unsupported, execute_ioctl)
PRIVATE(unsupported, ibv_cmd_advise_mr)
PRIVATE(unsupported, ibv_cmd_alloc_dm)
PRIVATE(unsupported, ibv_cmd_alloc_mw)
PRIVATE(unsupported, ibv_cmd_alloc_pd)
PRIVATE(unsupported, ibv_cmd_attach_mcast)
PRIVATE(unsupported, ibv_cmd_close_xrcd)
PRIVATE(unsupported, ibv_cmd_create_ah)
PRIVATE(unsupported, ibv_cmd_create_counters)
PRIVATE(unsupported, ibv_cmd_create_cq)
PRIVATE(unsupported, ibv_cmd_create_cq_ex)
PRIVATE(unsupported, ibv_cmd_create_flow)
PRIVATE(unsupported, ibv_cmd_create_flow_action_esp)
PRIVATE(unsupported, ibv_cmd_create_qp)
PRIVATE(unsupported, ibv_cmd_create_qp_ex)
PRIVATE(unsupported, ibv_cmd_create_qp_ex2)
PRIVATE(unsupported, ibv_cmd_create_rwq_ind_table)
PRIVATE(unsupported, ibv_cmd_create_srq)
PRIVATE(unsupported, ibv_cmd_create_srq_ex)
PRIVATE(unsupported, ibv_cmd_create_wq)
PRIVATE(unsupported, ibv_cmd_dealloc_mw)
PRIVATE(unsupported, ibv_cmd_dealloc_pd)
PRIVATE(unsupported, ibv_cmd_dereg_mr)
PRIVATE(unsupported, ibv_cmd_destroy_ah)
PRIVATE(unsupported, ibv_cmd_destroy_counters)
PRIVATE(unsupported, ibv_cmd_destroy_cq)
PRIVATE(unsupported, ibv_cmd_destroy_flow)
PRIVATE(unsupported, ibv_cmd_destroy_flow_action)
PRIVATE(unsupported, ibv_cmd_destroy_qp)
PRIVATE(unsupported, ibv_cmd_destroy_rwq_ind_table)
PRIVATE(unsupported, ibv_cmd_destroy_srq)
PRIVATE(unsupported, ibv_cmd_destroy_wq)
PRIVATE(unsupported, ibv_cmd_detach_mcast)
PRIVATE(unsupported, ibv_cmd_free_dm)
PRIVATE(unsupported, ibv_cmd_get_context)
PRIVATE(unsupported, ibv_cmd_modify_cq)
PRIVATE(unsupported, ibv_cmd_modify_flow_action_esp)
PRIVATE(unsupported, ibv_cmd_modify_qp)
PRIVATE(unsupported, ibv_cmd_modify_qp_ex)
PRIVATE(unsupported, ibv_cmd_modify_srq)
PRIVATE(unsupported, ibv_cmd_modify_wq)
PRIVATE(unsupported, ibv_cmd_open_qp)
PRIVATE(unsupported, ibv_cmd_open_xrcd)
PRIVATE(unsupported, ibv_cmd_post_recv)
PRIVATE(unsupported, ibv_cmd_post_send)
PRIVATE(unsupported, ibv_cmd_post_srq_recv)
PRIVATE(unsupported, ibv_cmd_query_context)
PRIVATE(unsupported, ibv_cmd_query_device_any)
PRIVATE(unsupported, ibv_cmd_query_mr)
PRIVATE(unsupported, ibv_cmd_query_port)
PRIVATE(unsupported, ibv_cmd_query_qp)
PRIVATE(unsupported, ibv_cmd_query_srq)
PRIVATE(unsupported, ibv_cmd_read_counters)
PRIVATE(unsupported, ibv_cmd_reg_dm_mr)
PRIVATE(unsupported, ibv_cmd_reg_dmabuf_mr)
PRIVATE(unsupported, ibv_cmd_reg_mr)
PRIVATE(unsupported, ibv_cmd_req_notify_cq)
PRIVATE(unsupported, ibv_cmd_rereg_mr)
PRIVATE(unsupported, ibv_cmd_resize_cq)

// Device memory handles, memory regions by description, port speed, buffers: after rdma-core 44.
AT(railyard_abi_null, ibv_alloc_dmah, "IBVERBS_1.15")
AT(railyard_abi_unsupported, ibv_dealloc_dmah, "IBVERBS_1.15")
AT(railyard_abi_null, ibv_reg_mr_ex, "IBVERBS_1.15")
AT(railyard_abi_negative, ibv_dm_export_dmabuf_fd, "IBVERBS_1.16")
AT(railyard_abi_unsupported, ibv_query_port_speed, "IBVERBS_1.16")
AT(railyard_abi_null, ibv_alloc_buf, "IBVERBS_1.17")
AT(railyard_abi_unsupported, ibv_free_buf, "IBVERBS_1.17")
AT(railyard_abi_null, ibv_reg_buf_mr, "IBVERBS_1.17")

#endif  // __linux__
