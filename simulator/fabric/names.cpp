#include "fabric/names.h"

#include <infiniband/verbs.h>

namespace railyard::fabric {

const char* queue_pair_type_name(uint32_t type) {
  switch (type) {
    case IBV_QPT_RC: return "RC";
    case IBV_QPT_UC: return "UC";
    case IBV_QPT_UD: return "UD";
    case IBV_QPT_XRC_SEND: return "XRC_SEND";
    case IBV_QPT_XRC_RECV: return "XRC_RECV";
    default: return "unknown";
  }
}

const char* queue_pair_state_name(uint32_t state) {
  constexpr const char* kNames[] = {"RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR"};
  return state < 7 ? kNames[state] : "unknown";
}

const char* completion_status_name(uint32_t status) {
  switch (status) {
#define X(name) \
  case name:    \
    return #name;
    X(IBV_WC_SUCCESS)
    X(IBV_WC_LOC_LEN_ERR)
    X(IBV_WC_LOC_QP_OP_ERR)
    X(IBV_WC_LOC_EEC_OP_ERR)
    X(IBV_WC_LOC_PROT_ERR)
    X(IBV_WC_WR_FLUSH_ERR)
    X(IBV_WC_MW_BIND_ERR)
    X(IBV_WC_BAD_RESP_ERR)
    X(IBV_WC_LOC_ACCESS_ERR)
    X(IBV_WC_REM_INV_REQ_ERR)
    X(IBV_WC_REM_ACCESS_ERR)
    X(IBV_WC_REM_OP_ERR)
    X(IBV_WC_RETRY_EXC_ERR)
    X(IBV_WC_RNR_RETRY_EXC_ERR)
    X(IBV_WC_FATAL_ERR)
    X(IBV_WC_RESP_TIMEOUT_ERR)
    X(IBV_WC_GENERAL_ERR)
#undef X
    default: return "unknown status";
  }
}

const char* opcode_name(uint32_t opcode) {
  switch (opcode) {
    case IBV_WR_RDMA_WRITE: return "RDMA_WRITE";
    case IBV_WR_RDMA_WRITE_WITH_IMM: return "RDMA_WRITE_WITH_IMM";
    case IBV_WR_SEND: return "SEND";
    case IBV_WR_SEND_WITH_IMM: return "SEND_WITH_IMM";
    case IBV_WR_RDMA_READ: return "RDMA_READ";
    case IBV_WR_ATOMIC_CMP_AND_SWP: return "ATOMIC_CMP_AND_SWP";
    case IBV_WR_ATOMIC_FETCH_AND_ADD: return "ATOMIC_FETCH_AND_ADD";
    case IBV_WR_SEND_WITH_INV: return "SEND_WITH_INV";
    default: return "unknown opcode";
  }
}

}  // namespace railyard::fabric
