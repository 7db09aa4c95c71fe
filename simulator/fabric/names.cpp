#include "fabric/names.h"

#include <infiniband/verbs.h>

#include <iterator>

#include "railyard/fabric_names.h"

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

namespace {

// Their numbers are part of the verbs ABI.
constexpr const char* kStatusNames[] = {
    "IBV_WC_SUCCESS",           "IBV_WC_LOC_LEN_ERR",        "IBV_WC_LOC_QP_OP_ERR",
    "IBV_WC_LOC_EEC_OP_ERR",    "IBV_WC_LOC_PROT_ERR",       "IBV_WC_WR_FLUSH_ERR",
    "IBV_WC_MW_BIND_ERR",       "IBV_WC_BAD_RESP_ERR",       "IBV_WC_LOC_ACCESS_ERR",
    "IBV_WC_REM_INV_REQ_ERR",   "IBV_WC_REM_ACCESS_ERR",     "IBV_WC_REM_OP_ERR",
    "IBV_WC_RETRY_EXC_ERR",     "IBV_WC_RNR_RETRY_EXC_ERR",  "IBV_WC_LOC_RDD_VIOL_ERR",
    "IBV_WC_REM_INV_RD_REQ_ERR", "IBV_WC_REM_ABORT_ERR",     "IBV_WC_INV_EECN_ERR",
    "IBV_WC_INV_EEC_STATE_ERR", "IBV_WC_FATAL_ERR",          "IBV_WC_RESP_TIMEOUT_ERR",
    "IBV_WC_GENERAL_ERR"};
static_assert(std::size(kStatusNames) == IBV_WC_GENERAL_ERR + 1);
static_assert(IBV_WC_RNR_RETRY_EXC_ERR == 13 && IBV_WC_FATAL_ERR == 19);

}  // namespace

const char* completion_status_name(uint32_t status) {
  return status < std::size(kStatusNames) ? kStatusNames[status] : "unknown status";
}

std::vector<std::string> completion_status_names() {
  return {std::begin(kStatusNames), std::end(kStatusNames)};
}

const char* resource_name(Resource resource) {
  constexpr const char* kNames[] = {"context", "protection domain", "completion queue", "queue pair",
                                    "memory region"};
  return kNames[static_cast<size_t>(resource)];
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
