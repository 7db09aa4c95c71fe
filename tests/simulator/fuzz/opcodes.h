// What kinds of request there are.
#pragma once

#include <infiniband/verbs.h>

namespace railyard::fuzz {

// XRC's are named by the type of the end that sends.
inline bool reliable(ibv_qp_type type) {
  return type == IBV_QPT_RC || type == IBV_QPT_XRC_SEND || type == IBV_QPT_XRC_RECV;
}

inline bool atomic(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_ATOMIC_CMP_AND_SWP || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}
inline bool writes(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_RDMA_WRITE || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}
inline bool answered(ibv_wr_opcode opcode) { return opcode == IBV_WR_RDMA_READ || atomic(opcode); }
inline bool one_sided(ibv_wr_opcode opcode) { return writes(opcode) || answered(opcode); }
inline bool takes_receive(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM ||
         opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}
inline bool has_immediate(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_SEND_WITH_IMM || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

// The word that stands for a status in a report.
inline const char* text(uint32_t status) {
  return ibv_wc_status_str(static_cast<ibv_wc_status>(status));
}

}  // namespace railyard::fuzz
