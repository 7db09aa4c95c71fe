// XRC domains, and queue pairs of theirs that another has made.
#include "device/extended_domain.h"

#include <cerrno>
#include <mutex>

#include "device/context.h"
#include "device/queue_pair.h"
#include "verbs/operations.h"

namespace railyard::sim {

// What is refused before the kernel is asked: libibverbs' cmd.c, ibv_cmd_open_xrcd() and
// ibv_cmd_open_qp().

ibv_xrcd* open_extended_domain(ibv_context* face, ibv_xrcd_init_attr* wanted) {
  Context& context = Context::from(face);
  if (enter(context, Verb::open_xrcd)) return nullptr;
  if (!(context.profile().transports & fabric::kExtendedReliable))
    return errno = EOPNOTSUPP, nullptr;
  constexpr uint32_t kNeeded = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS;
  if (wanted->comp_mask & ~kNeeded) return errno = EOPNOTSUPP, nullptr;
  if (wanted->comp_mask != kNeeded) return errno = EINVAL, nullptr;
  return ExtendedDomain::open(context, wanted->fd, wanted->oflags);
}

int close_extended_domain(ibv_xrcd* domain) {
  if (int error = enter(Context::from(domain->context), Verb::close_xrcd)) return error;
  int error = ExtendedDomain::from(domain)->close();
  return error ? (errno = error) : 0;
}

ibv_qp* open_queue_pair(ibv_context* face, ibv_qp_open_attr* wanted) {
  Context& context = Context::from(face);
  if (enter(context, Verb::open_qp)) return nullptr;
  constexpr uint32_t kNeeded = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD | IBV_QP_OPEN_ATTR_TYPE;
  if (wanted->comp_mask >= IBV_QP_OPEN_ATTR_RESERVED) return errno = EOPNOTSUPP, nullptr;
  if ((wanted->comp_mask & kNeeded) != kNeeded || wanted->qp_type != IBV_QPT_XRC_RECV ||
      wanted->qp_num >= layout::kMaxQueuePairs) {
    return errno = EINVAL, nullptr;
  }
  ibv_qp_init_attr_ex shape{};
  shape.qp_type = wanted->qp_type;
  if (wanted->comp_mask & IBV_QP_OPEN_ATTR_CONTEXT) shape.qp_context = wanted->qp_context;
  std::lock_guard guard(context.lock);
  auto* pair = new QueuePair(context, wanted->qp_num, shape, ibv_qp_cap{});
  if (int error = pair->share(*ExtendedDomain::from(wanted->xrcd), false)) {
    delete pair;
    return errno = error, nullptr;
  }
  context.queue_pairs.push_back(pair);
  context.look_for_receivers();
  return &pair->qp_base;
}

}  // namespace railyard::sim
