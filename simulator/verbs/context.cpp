// An open device's tables, and its asynchronous events.
#include <cerrno>

#include "device/context.h"
#include "device/gate.h"
#include "device/queue_pair.h"
#include "verbs/export.h"
#include "verbs/operations.h"

namespace railyard::sim {

// ibv_alloc_mw() and its like check for a missing entry; those set here to refuse are called unchecked.
void install_operations(Context& context) {
  ibv_context_ops& inner = context.face()->ops;
  inner.poll_cq = poll;
  inner.req_notify_cq = request_notification;
  inner.post_send = post_send;
  inner.post_recv = post_receive;
  inner.post_srq_recv = [](ibv_srq*, ibv_recv_wr* requests, ibv_recv_wr** bad) {
    *bad = requests;
    return EOPNOTSUPP;
  };
  inner.bind_mw = [](ibv_qp*, ibv_mw*, ibv_mw_bind*) { return EOPNOTSUPP; };
  inner.dealloc_mw = [](ibv_mw*) { return EOPNOTSUPP; };

  context.query_port = query_port;
  context.query_device_ex = query_device_ex;
  context.create_cq_ex = create_completion_queue;
  context.create_qp_ex = create_queue_pair;
  context.close_xrcd = [](ibv_xrcd*) { return EOPNOTSUPP; };
}

}  // namespace railyard::sim

using namespace railyard::sim;

RAILYARD_VERB int ibv_get_async_event(ibv_context* face, ibv_async_event* event) {
  Context& context = Context::from(face);
  if (int error = pass_gate(context.attachment(), Verb::get_async_event)) return errno = error, -1;
  return context.get_async_event(event);
}

namespace {

void acknowledge(pthread_mutex_t& mutex, pthread_cond_t& changed, uint32_t& count) {
  pthread_mutex_lock(&mutex);
  ++count;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&mutex);
}

}  // namespace

RAILYARD_VERB void ibv_ack_async_event(ibv_async_event* event) {
  switch (event->event_type) {
    case IBV_EVENT_CQ_ERR: {
      ibv_cq* queue = event->element.cq;
      acknowledge(queue->mutex, queue->cond, queue->async_events_completed);
      break;
    }
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_COMM_EST:
    case IBV_EVENT_SQ_DRAINED: {
      ibv_qp* pair = event->element.qp;
      acknowledge(pair->mutex, pair->cond, pair->events_completed);
      break;
    }
    default: break;  // the port's, which nothing waits for
  }
}
