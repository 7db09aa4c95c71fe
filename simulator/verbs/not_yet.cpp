// Verbs whose objects the simulator does not have yet: shared receive queues, address handles and
// multicast. They fail as on a device that does not offer them.
#include <infiniband/verbs.h>

#include <cerrno>

#include "verbs/export.h"

RAILYARD_VERB ibv_srq* ibv_create_srq(ibv_pd*, ibv_srq_init_attr*) { return errno = EOPNOTSUPP, nullptr; }
RAILYARD_VERB int ibv_modify_srq(ibv_srq*, ibv_srq_attr*, int) { return errno = EOPNOTSUPP; }
RAILYARD_VERB int ibv_query_srq(ibv_srq*, ibv_srq_attr*) { return errno = EOPNOTSUPP; }
RAILYARD_VERB int ibv_destroy_srq(ibv_srq*) { return errno = EOPNOTSUPP; }
RAILYARD_VERB ibv_ah* ibv_create_ah(ibv_pd*, ibv_ah_attr*) { return errno = EOPNOTSUPP, nullptr; }
RAILYARD_VERB ibv_ah* ibv_create_ah_from_wc(ibv_pd*, ibv_wc*, ibv_grh*, uint8_t) {
  return errno = EOPNOTSUPP, nullptr;
}
RAILYARD_VERB int ibv_init_ah_from_wc(ibv_context*, uint8_t, ibv_wc*, ibv_grh*, ibv_ah_attr*) {
  return errno = EOPNOTSUPP;
}
RAILYARD_VERB int ibv_destroy_ah(ibv_ah*) { return errno = EOPNOTSUPP; }
RAILYARD_VERB int ibv_attach_mcast(ibv_qp*, const ibv_gid*, uint16_t) { return errno = EOPNOTSUPP; }
RAILYARD_VERB int ibv_detach_mcast(ibv_qp*, const ibv_gid*, uint16_t) { return errno = EOPNOTSUPP; }
