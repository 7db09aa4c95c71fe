// What programs compiled against rdma-core's headers take for granted, checked against the header
// of this build. The numbers are those of rdma-core 44 on x86-64; elsewhere a mutex has another
// size.
#if defined(__linux__) && defined(__x86_64__)

#include <infiniband/verbs.h>

#include <cstddef>

#define AT(type, member, offset) static_assert(offsetof(type, member) == (offset))
#define SIZE(type, bytes) static_assert(sizeof(type) == (bytes))
// verbs_context grows at its front, so members are found from its end.
#define FROM_END(member, bytes) \
  static_assert(sizeof(verbs_context) - offsetof(verbs_context, member) == (bytes))

SIZE(ibv_device, 664);
AT(ibv_device, node_type, 16);
AT(ibv_device, transport_type, 20);
AT(ibv_device, name, 24);
AT(ibv_device, dev_name, 88);
AT(ibv_device, dev_path, 152);
AT(ibv_device, ibdev_path, 408);

SIZE(ibv_context, 328);
AT(ibv_context, device, 0);
AT(ibv_context, ops, 8);
AT(ibv_context, ops.alloc_mw, 64);
AT(ibv_context, ops.bind_mw, 72);
AT(ibv_context, ops.dealloc_mw, 80);
AT(ibv_context, ops.poll_cq, 96);
AT(ibv_context, ops.req_notify_cq, 104);
AT(ibv_context, ops.post_srq_recv, 168);
AT(ibv_context, ops.post_send, 208);
AT(ibv_context, ops.post_recv, 216);
AT(ibv_context, cmd_fd, 264);
AT(ibv_context, async_fd, 268);
AT(ibv_context, num_comp_vectors, 272);
AT(ibv_context, mutex, 280);
AT(ibv_context, abi_compat, 320);

FROM_END(query_port, 648);
FROM_END(create_cq_ex, 448);
FROM_END(priv, 440);
FROM_END(query_device_ex, 432);
FROM_END(create_qp_ex, 384);
FROM_END(get_srq_num, 376);
FROM_END(create_srq_ex, 368);
FROM_END(open_xrcd, 360);
FROM_END(close_xrcd, 352);
FROM_END(sz, 336);
FROM_END(context, 328);

SIZE(ibv_mr, 48);
AT(ibv_mr, lkey, 36);
AT(ibv_mr, rkey, 40);

SIZE(ibv_qp, 160);
AT(ibv_qp, qp_num, 52);
AT(ibv_qp, state, 56);
AT(ibv_qp, qp_type, 60);
AT(ibv_qp, mutex, 64);
AT(ibv_qp, cond, 104);
AT(ibv_qp, events_completed, 152);

AT(ibv_qp_ex, comp_mask, 160);
AT(ibv_qp_ex, wr_id, 168);
AT(ibv_qp_ex, wr_flags, 176);
AT(ibv_qp_ex, wr_atomic_cmp_swp, 184);
AT(ibv_qp_ex, wr_send, 240);
AT(ibv_qp_ex, wr_start, 320);
AT(ibv_qp_ex, wr_complete, 328);

SIZE(ibv_cq, 128);
AT(ibv_cq, channel, 8);
AT(ibv_cq, cqe, 28);
AT(ibv_cq, comp_events_completed, 120);

AT(ibv_cq_ex, comp_mask, 128);
AT(ibv_cq_ex, status, 132);
AT(ibv_cq_ex, wr_id, 136);
AT(ibv_cq_ex, start_poll, 144);
AT(ibv_cq_ex, read_opcode, 168);

SIZE(ibv_comp_channel, 16);
AT(ibv_comp_channel, fd, 8);
AT(ibv_comp_channel, refcnt, 12);

SIZE(ibv_pd, 16);
SIZE(ibv_srq, 128);
SIZE(ibv_ah, 24);
SIZE(ibv_xrcd, 8);
SIZE(ibv_mw, 32);
SIZE(ibv_dm, 32);

// What passes by pointer between program and library.
SIZE(ibv_wc, 48);
SIZE(ibv_send_wr, 128);
SIZE(ibv_recv_wr, 32);
SIZE(ibv_sge, 16);
SIZE(ibv_qp_attr, 144);
SIZE(ibv_qp_init_attr, 64);
SIZE(ibv_device_attr, 232);
SIZE(ibv_gid_entry, 32);
SIZE(ibv_async_event, 16);
static_assert(sizeof(ibv_port_attr) >= 52);  // a caller says how much of it it knows
AT(ibv_port_attr, link_layer, 46);
AT(ibv_port_attr, flags, 47);
AT(ibv_port_attr, port_cap_flags2, 48);

#endif
