// An open device's tables, and its asynchronous events.
#include <cerrno>

#include "device/context.h"
#include "device/gate.h"
#include "device/queue_pair.h"
#include "verbs/export.h"
#include "verbs/operations.h"

namespace railyard::sim {

void install_operations(Context& context) {
  ibv_context_ops& inner = context.face()->ops;
  inner.poll_cq = poll;
  inner.req_notify_cq = request_notification;
  inner.post_send = post_send;
  inner.post_recv = post_receive;
  inner.post_srq_recv = post_shared_receive;
  inner.alloc_mw = allocate_window;
  inner.dealloc_mw = deallocate_window;
  inner.bind_mw = bind_window;

  context.query_port = query_port;
  context.query_device_ex = query_device_ex;
  context.create_cq_ex = create_completion_queue;
  context.create_qp_ex = create_queue_pair;
  context.create_srq_ex = create_shared_receive_queue;
  context.get_srq_num = shared_receive_queue_number;
  context.open_qp = open_queue_pair;
  context.open_xrcd = open_extended_domain;
  context.close_xrcd = close_extended_domain;
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
    case IBV_EVENT_SQ_DRAINED:
    case IBV_EVENT_QP_LAST_WQE_REACHED: {
      ibv_qp* pair = event->element.qp;
      acknowledge(pair->mutex, pair->cond, pair->events_completed);
      break;
    }
    case IBV_EVENT_SRQ_LIMIT_REACHED:
    case IBV_EVENT_SRQ_ERR: {
      ibv_srq* queue = event->element.srq;
      acknowledge(queue->mutex, queue->cond, queue->events_completed);
      break;
    }
    default:
      break;  // the port's, which nothing waits for
  }
}
