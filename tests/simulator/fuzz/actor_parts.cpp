#include "actor_parts.h"

namespace railyard::fuzz {
namespace {

// A reliable queue pair that is connected with itself.
ibv_qp* loop(Device& own, ibv_cq* queue) {
  ibv_qp_init_attr wanted{};
  wanted.send_cq = wanted.recv_cq = queue;
  wanted.qp_type = IBV_QPT_RC;
  wanted.cap = {4, 1, 1, 1, 0};
  ibv_qp* pair = need(ibv_create_qp(own.domain, &wanted), "ibv_create_qp");
  ibv_port_attr port{};
  ibv_query_port(own.context, 1, &port);
  ibv_qp_attr to{};
  to.qp_state = IBV_QPS_INIT;
  to.port_num = 1;
  int error = ibv_modify_qp(pair, &to,
                            IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
  to.qp_state = IBV_QPS_RTR;
  to.path_mtu = IBV_MTU_1024;
  to.dest_qp_num = pair->qp_num;
  to.ah_attr.port_num = 1;
  to.ah_attr.dlid = port.lid;
  to.ah_attr.is_global = 1;
  ibv_query_gid(own.context, 1, port.gid_tbl_len > 1 && port.lid == 0 ? 1 : 0,
                &to.ah_attr.grh.dgid);
  if (error == 0) {
    error = ibv_modify_qp(pair, &to,
                          IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
                              IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
  }
  to.qp_state = IBV_QPS_RTS;
  to.timeout = 14;
  if (error == 0) {
    error = ibv_modify_qp(pair, &to,
                          IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                              IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
  }
  if (error != 0)
    throw std::runtime_error("a queue pair that talks to itself: " + std::string(strerror(error)));
  return pair;
}

}  // namespace

Extended make_extended(Device& own, const Command& command, uint32_t pieces, ibv_cq* completions,
                       ibv_qp_cap& granted) {
  Extended out{};
  const EndPlan& end = command.end;
  ibv_qp_init_attr_ex wanted{};
  wanted.qp_type = command.type;
  wanted.cap = {end.sends, 0, pieces, 0, end.inline_bytes};
  if (command.type == IBV_QPT_XRC_SEND) {
    wanted.comp_mask = IBV_QP_INIT_ATTR_PD;
    wanted.pd = own.domain;
    wanted.send_cq = completions;
    wanted.sq_sig_all = end.signal_all;
  } else {
    wanted.comp_mask = IBV_QP_INIT_ATTR_XRCD;
    wanted.xrcd = end.apart ? own.common_domain : own.own_domain;
  }
  if (command.type == IBV_QPT_XRC_RECV && command.part != Part::pair) {
    ibv_srq_init_attr_ex queue{};
    queue.attr = {end.receives, pieces, 0};
    queue.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD | IBV_SRQ_INIT_ATTR_XRCD |
                      IBV_SRQ_INIT_ATTR_CQ;
    queue.srq_type = IBV_SRQT_XRC;
    queue.pd = own.domain;
    queue.xrcd = end.apart ? own.common_domain : own.own_domain;
    queue.cq = completions;
    out.shared = need(ibv_create_srq_ex(own.context, &queue), "ibv_create_srq_ex");
  }
  if (command.part != Part::rest)
    out.pair = need(ibv_create_qp_ex(own.context, &wanted), "ibv_create_qp_ex");
  granted = wanted.cap;
  return out;
}

ibv_qp* open_receiver(Device& own, uint32_t number) {
  ibv_qp_open_attr wanted{};
  wanted.comp_mask = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD | IBV_QP_OPEN_ATTR_TYPE;
  wanted.qp_num = number;
  wanted.xrcd = own.common_domain;
  wanted.qp_type = IBV_QPT_XRC_RECV;
  return need(ibv_open_qp(own.context, &wanted), "ibv_open_qp");
}

uint32_t bind_window(Device& own, uint8_t* memory) {
  ibv_mr* region = need(
      ibv_reg_mr(own.domain, memory, kWindowBytes, kAllAccess | IBV_ACCESS_MW_BIND), "ibv_reg_mr");
  ibv_cq* queue = need(ibv_create_cq(own.context, 4, nullptr, nullptr, 0), "ibv_create_cq");
  ibv_qp* pair = loop(own, queue);
  ibv_mw* window = need(ibv_alloc_mw(own.domain, IBV_MW_TYPE_1), "ibv_alloc_mw");
  ibv_mw_bind bind{};
  bind.send_flags = IBV_SEND_SIGNALED;
  bind.bind_info = {region, reinterpret_cast<uint64_t>(memory), kBoundBytes,
                    IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC};
  if (int error = ibv_bind_mw(pair, window, &bind))
    throw std::runtime_error("ibv_bind_mw: " + std::string(strerror(error)));
  ibv_wc done{};
  while (ibv_poll_cq(queue, 1, &done) == 0) {
  }
  if (done.status != IBV_WC_SUCCESS || done.opcode != IBV_WC_BIND_MW)
    throw std::runtime_error("a bind ended with " + std::string(ibv_wc_status_str(done.status)));
  ibv_destroy_qp(pair);
  ibv_destroy_cq(queue);
  return window->rkey;
}

}  // namespace railyard::fuzz
