// Verbs that no simulated device offers. Each fails as the library documents for such a device.
#ifdef __linux__

#include <infiniband/verbs.h>

#include <cerrno>

#include "verbs/export.h"

namespace {

template <typename Object>
Object* refuse() {
  errno = EOPNOTSUPP;
  return nullptr;
}

}  // namespace

// Sharing of objects between processes by their kernel handles: there is no kernel part.
RAILYARD_VERB struct ibv_context* ibv_import_device(int) { return refuse<ibv_context>(); }
RAILYARD_VERB struct ibv_pd* ibv_import_pd(struct ibv_context*, uint32_t) {
  return refuse<ibv_pd>();
}
RAILYARD_VERB void ibv_unimport_pd(struct ibv_pd*) {}
RAILYARD_VERB struct ibv_mr* ibv_import_mr(struct ibv_pd*, uint32_t) { return refuse<ibv_mr>(); }
RAILYARD_VERB void ibv_unimport_mr(struct ibv_mr*) {}
RAILYARD_VERB struct ibv_dm* ibv_import_dm(struct ibv_context*, uint32_t) {
  return refuse<ibv_dm>();
}
RAILYARD_VERB void ibv_unimport_dm(struct ibv_dm*) {}

RAILYARD_VERB struct ibv_mr* ibv_reg_dmabuf_mr(struct ibv_pd*, uint64_t, size_t, uint64_t, int,
                                               int) {
  return refuse<ibv_mr>();
}

RAILYARD_VERB int ibv_resolve_eth_l2_from_gid(struct ibv_context*, struct ibv_ah_attr*,
                                              uint8_t[ETHERNET_LL_SIZE], uint16_t*) {
  errno = EOPNOTSUPP;
  return -EOPNOTSUPP;
}

// Enhanced connection establishment; librdmacm goes on without it.
RAILYARD_VERB int ibv_query_ece(struct ibv_qp*, struct ibv_ece*) { return errno = EOPNOTSUPP; }
RAILYARD_VERB int ibv_set_ece(struct ibv_qp*, struct ibv_ece*) { return errno = EOPNOTSUPP; }

// 0: no promise that the bytes of a message become visible in order.
RAILYARD_VERB int ibv_query_qp_data_in_order(struct ibv_qp*, enum ibv_wr_opcode, uint32_t) {
  return 0;
}

#endif  // __linux__
