// Queue pairs.
#include "device/queue_pair.h"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>

#include "device/context.h"
#include "device/extended_domain.h"
#include "device/gate.h"
#include "verbs/export.h"
#include "verbs/operations.h"

namespace railyard::sim {

namespace {

uint32_t transport_bit(ibv_qp_type type) {
  switch (type) {
    case IBV_QPT_RC:
      return fabric::kReliable;
    case IBV_QPT_UC:
      return fabric::kUnreliable;
    case IBV_QPT_UD:
      return fabric::kDatagram;
    case IBV_QPT_XRC_SEND:
    case IBV_QPT_XRC_RECV:
      return fabric::kExtendedReliable;
    default:
      return 0;
  }
}

// What the device grants of what was asked, or an errno.
int grant(const fabric::Profile& profile, ibv_qp_cap& cap) {
  auto most = static_cast<uint32_t>(profile.max_requests);
  auto least = static_cast<uint32_t>(profile.min_granted);
  if (cap.max_send_wr > most || cap.max_recv_wr > most) return EINVAL;
  if (cap.max_send_sge > static_cast<uint32_t>(profile.max_sge) ||
      cap.max_recv_sge > static_cast<uint32_t>(profile.max_sge) ||
      cap.max_inline_data > static_cast<uint32_t>(profile.max_inline)) {
    return EINVAL;
  }
  cap.max_send_wr = std::max(cap.max_send_wr, least);
  cap.max_recv_wr = std::max(cap.max_recv_wr, least);
  cap.max_send_sge = std::max(cap.max_send_sge, 1u);
  cap.max_recv_sge = std::max(cap.max_recv_sge, 1u);
  cap.max_inline_data = std::max(cap.max_inline_data, static_cast<uint32_t>(profile.min_inline));
  return 0;
}

// Whether the device builds all these kinds of request (ibv_create_qp_ex(3), send_ops_flags).
bool builds(const fabric::Profile& profile, ibv_qp_type type, uint64_t operations) {
  static constexpr std::pair<uint64_t, ibv_wr_opcode> kOperations[] = {
      {IBV_QP_EX_WITH_SEND, IBV_WR_SEND},
      {IBV_QP_EX_WITH_SEND_WITH_IMM, IBV_WR_SEND_WITH_IMM},
      {IBV_QP_EX_WITH_SEND_WITH_INV, IBV_WR_SEND_WITH_INV},
      {IBV_QP_EX_WITH_RDMA_WRITE, IBV_WR_RDMA_WRITE},
      {IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_WRITE_WITH_IMM},
      {IBV_QP_EX_WITH_RDMA_READ, IBV_WR_RDMA_READ},
      {IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP, IBV_WR_ATOMIC_CMP_AND_SWP},
      {IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_FETCH_AND_ADD},
      {IBV_QP_EX_WITH_LOCAL_INV, IBV_WR_LOCAL_INV},
      {IBV_QP_EX_WITH_BIND_MW, IBV_WR_BIND_MW}};
  for (auto [flag, opcode] : kOperations) {
    if ((operations & flag) && QueuePair::offered(profile, type, opcode) != 0) return false;
    operations &= ~flag;
  }
  return operations == 0;
}

// An XRC receiver has a domain and neither queues nor protection domain of its own.
int complete_and_check(ibv_qp_init_attr_ex& wanted) {
  if (!(wanted.comp_mask & IBV_QP_INIT_ATTR_PD)) wanted.pd = nullptr;
  if (wanted.qp_type == IBV_QPT_XRC_RECV) {
    bool domain = (wanted.comp_mask & IBV_QP_INIT_ATTR_XRCD) && wanted.xrcd;
    wanted.send_cq = wanted.recv_cq = nullptr;
    wanted.srq = nullptr;
    wanted.cap.max_send_wr = wanted.cap.max_recv_wr = 0;
    return domain ? 0 : EINVAL;
  }
  if (wanted.qp_type == IBV_QPT_XRC_SEND) {
    wanted.recv_cq = nullptr;
    wanted.srq = nullptr;
    wanted.cap.max_recv_wr = 0;
    return wanted.pd && wanted.send_cq ? 0 : EINVAL;
  }
  return wanted.pd && wanted.send_cq && wanted.recv_cq ? 0 : EINVAL;
}

}  // namespace

int enter(const Context& context, Verb verb) {
  context.attachment().note_verb(verb);
  int error = pass_gate(context.attachment(), verb);
  if (error != 0) errno = error;
  return error;
}

ibv_qp* create_queue_pair(ibv_context* face, ibv_qp_init_attr_ex* wanted) {
  Context& context = Context::from(face);
  if (enter(context, Verb::create_qp)) return nullptr;
  const fabric::Profile& profile = context.profile();
  constexpr uint32_t kKnown =
      IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS | IBV_QP_INIT_ATTR_XRCD;
  if (wanted->comp_mask & ~kKnown) return errno = EOPNOTSUPP, nullptr;
  if (!(profile.transports & transport_bit(wanted->qp_type))) {
    return errno = profile.transport_error, nullptr;
  }
  if (int error = complete_and_check(*wanted)) return errno = error, nullptr;
  bool extended = wanted->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
  if (extended && !builds(profile, wanted->qp_type, wanted->send_ops_flags)) {
    return errno = EOPNOTSUPP, nullptr;
  }
  if (int error = grant(profile, wanted->cap)) return errno = error, nullptr;
  if (int error = context.take(Resource::queue_pairs)) return errno = error, nullptr;
  std::optional<uint32_t> number =
      context.segment().claim_queue_pair(context.attachment().process());
  if (!number) return context.give_back(Resource::queue_pairs), nullptr;

  auto* pair = new QueuePair(context, *number, *wanted, wanted->cap);
  std::lock_guard guard(context.lock);
  int error = pair->allocate();
  if (error == 0 && wanted->qp_type == IBV_QPT_XRC_RECV) {
    error = pair->share(*ExtendedDomain::from(wanted->xrcd), true);
  }
  if (error != 0) {
    delete pair;
    context.give_back(Resource::queue_pairs);
    return errno = error, nullptr;
  }
  if (extended) install_operations(*pair);
  context.queue_pairs.push_back(pair);
  return &pair->qp_base;
}

int post_send(ibv_qp* face, ibv_send_wr* requests, ibv_send_wr** bad) {
  QueuePair& pair = *QueuePair::from(face);
  Context& context = pair.owner();
  if (int error = pass_gate(context.attachment(), Verb::post_send, pair.number())) {
    *bad = requests;
    return error;
  }
  std::lock_guard guard(context.lock);
  return pair.post_send(requests, bad);
}

namespace {

// Where a fault may hold the call until a message has arrived.
[[gnu::noinline]] int pass_receives_gate(QueuePair& pair) {
  return pass_gate_slowly(pair.owner().attachment(), Verb::post_recv, pair.number(), [&] {
    std::lock_guard guard(pair.owner().lock);
    return pair.arrival_without_receive();
  });
}

}  // namespace

int post_receive(ibv_qp* face, ibv_recv_wr* requests, ibv_recv_wr** bad) {
  QueuePair& pair = *QueuePair::from(face);
  Context& context = pair.owner();
  if (!gate_is_open(context.attachment())) [[unlikely]] {
    if (int error = pass_receives_gate(pair)) {
      *bad = requests;
      return error;
    }
  }
  std::lock_guard guard(context.lock);
  return pair.post_receive(requests, bad);
}

}  // namespace railyard::sim

using namespace railyard::sim;

RAILYARD_VERB ibv_qp* ibv_create_qp(ibv_pd* domain, ibv_qp_init_attr* wanted) {
  ibv_qp_init_attr_ex extended{};
  extended.qp_context = wanted->qp_context;
  extended.send_cq = wanted->send_cq;
  extended.recv_cq = wanted->recv_cq;
  extended.srq = wanted->srq;
  extended.cap = wanted->cap;
  extended.qp_type = wanted->qp_type;
  extended.sq_sig_all = wanted->sq_sig_all;
  extended.comp_mask = IBV_QP_INIT_ATTR_PD;
  extended.pd = domain;
  ibv_qp* pair = create_queue_pair(domain->context, &extended);
  if (pair) wanted->cap = extended.cap;
  return pair;
}

RAILYARD_VERB int ibv_modify_qp(ibv_qp* face, ibv_qp_attr* attributes, int mask) {
  QueuePair& pair = *QueuePair::from(face);
  if (int error = enter(pair.owner(), Verb::modify_qp)) return error;
  std::lock_guard guard(pair.owner().lock);
  int error = pair.modify(*attributes, mask);
  return error ? (errno = error) : 0;
}

RAILYARD_VERB int ibv_query_qp(ibv_qp* face, ibv_qp_attr* attributes, int,
                               ibv_qp_init_attr* initial) {
  QueuePair& pair = *QueuePair::from(face);
  if (int error = enter(pair.owner(), Verb::query_qp)) return error;
  std::lock_guard guard(pair.owner().lock);
  pair.query(*attributes, *initial);
  return 0;
}

RAILYARD_VERB int ibv_destroy_qp(ibv_qp* face) {
  QueuePair& pair = *QueuePair::from(face);
  Context& context = pair.owner();
  if (int error = enter(context, Verb::destroy_qp)) return error;
  pair.linger();
  bool owned;
  {
    std::lock_guard guard(context.lock);
    std::erase(context.queue_pairs, &pair);
    owned = pair.owned();
    delete &pair;
    context.look_for_receivers();
  }
  if (owned) context.give_back(Resource::queue_pairs);
  return 0;
}

RAILYARD_VERB ibv_qp_ex* ibv_qp_to_qp_ex(ibv_qp* face) {
  auto* extended = reinterpret_cast<ibv_qp_ex*>(face);
  return extended->wr_start ? extended : nullptr;
}
