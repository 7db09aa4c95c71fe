// Shared receive queues.
#include "device/shared_receive_queue.h"

#include <cerrno>
#include <mutex>

#include "device/completion_queue.h"
#include "device/context.h"
#include "device/extended_domain.h"
#include "device/gate.h"
#include "verbs/export.h"
#include "verbs/operations.h"

namespace railyard::sim {

ibv_srq* create_shared_receive_queue(ibv_context* face, ibv_srq_init_attr_ex* wanted) {
  Context& context = Context::from(face);
  if (enter(context, Verb::create_srq)) return nullptr;
  const fabric::Profile& profile = context.profile();
  if (profile.max_shared_receives == 0) return errno = EOPNOTSUPP, nullptr;
  bool extended = (wanted->comp_mask & IBV_SRQ_INIT_ATTR_TYPE) && wanted->srq_type == IBV_SRQT_XRC;
  if ((wanted->comp_mask & IBV_SRQ_INIT_ATTR_TYPE) && wanted->srq_type > IBV_SRQT_XRC) {
    return errno = EOPNOTSUPP, nullptr;
  }
  if (!wanted->pd || wanted->attr.max_wr > static_cast<uint32_t>(profile.max_shared_receives) ||
      wanted->attr.max_sge > static_cast<uint32_t>(profile.max_sge) ||
      (extended && (!wanted->cq || !wanted->xrcd))) {
    return errno = EINVAL, nullptr;
  }
  std::optional<uint32_t> number =
      context.segment().claim_shared_queue(context.attachment().process());
  if (!number) return nullptr;
  layout::SharedQueue& record = context.segment().shared_queue(*number);
  record.context = context.record_index();
  record.attention.store(0);
  std::lock_guard guard(context.lock);
  auto* queue = new SharedReceiveQueue(context, std::max(wanted->attr.max_wr, 1u),
                                       std::max(wanted->attr.max_sge, 1u), *number);
  queue->context = face;
  queue->srq_context = wanted->srq_context;
  queue->pd = wanted->pd;
  queue->handle = queue->number;
  if (extended) {
    queue->completions = CompletionQueue::from(wanted->cq);
    queue->domain = ExtendedDomain::from(wanted->xrcd);
    ++queue->completions->shared_queues;
    ++queue->domain->users;
    ++context.extended_queues;
    queue->update_attention();
    record.domain.store(queue->domain->number, std::memory_order_release);
  }
  context.shared_queues.push_back(queue);
  context.look_for_receivers();
  return queue;
}

int shared_receive_queue_number(ibv_srq* queue, uint32_t* number) {
  *number = SharedReceiveQueue::from(queue)->number;
  return 0;
}

int post_shared_receive(ibv_srq* face, ibv_recv_wr* requests, ibv_recv_wr** bad) {
  SharedReceiveQueue& queue = *SharedReceiveQueue::from(face);
  Context& context = queue.owner();
  if (int error = pass_gate(context.attachment(), Verb::post_srq_recv)) {
    *bad = requests;
    return error;
  }
  std::lock_guard guard(context.lock);
  return queue.post(requests, bad);
}

}  // namespace railyard::sim

using namespace railyard::sim;

RAILYARD_VERB ibv_srq* ibv_create_srq(ibv_pd* domain, ibv_srq_init_attr* wanted) {
  ibv_srq_init_attr_ex extended{};
  extended.srq_context = wanted->srq_context;
  extended.attr = wanted->attr;
  extended.comp_mask = IBV_SRQ_INIT_ATTR_PD;
  extended.pd = domain;
  return create_shared_receive_queue(domain->context, &extended);
}

RAILYARD_VERB int ibv_modify_srq(ibv_srq* face, ibv_srq_attr* attributes, int mask) {
  SharedReceiveQueue& queue = *SharedReceiveQueue::from(face);
  if (int error = enter(queue.owner(), Verb::modify_srq)) return error;
  if (mask & ~(IBV_SRQ_MAX_WR | IBV_SRQ_LIMIT)) return errno = EINVAL;
  if (mask & IBV_SRQ_MAX_WR) return errno = EOPNOTSUPP;  // as adapters without resizing say
  std::lock_guard guard(queue.owner().lock);
  if (attributes->srq_limit > queue.depth) return errno = EINVAL;
  queue.limit = attributes->srq_limit;
  queue.watch_limit();
  return 0;
}

RAILYARD_VERB int ibv_query_srq(ibv_srq* face, ibv_srq_attr* attributes) {
  SharedReceiveQueue& queue = *SharedReceiveQueue::from(face);
  if (int error = enter(queue.owner(), Verb::query_srq)) return error;
  std::lock_guard guard(queue.owner().lock);
  *attributes = {queue.depth, queue.max_pieces, queue.limit};
  return 0;
}

RAILYARD_VERB int ibv_destroy_srq(ibv_srq* face) {
  SharedReceiveQueue& queue = *SharedReceiveQueue::from(face);
  Context& context = queue.owner();
  if (int error = enter(context, Verb::destroy_srq)) return error;
  std::lock_guard guard(context.lock);
  if (queue.users != 0) return errno = EBUSY;
  if (queue.domain) {
    --queue.completions->shared_queues;
    --queue.domain->users;
    --context.extended_queues;
  }
  layout::SharedQueue& record = context.segment().shared_queue(queue.number);
  record.domain.store(0, std::memory_order_release);
  record.owner.store(0, std::memory_order_release);
  std::erase(context.shared_queues, &queue);
  context.look_for_receivers();
  delete &queue;
  return 0;
}
