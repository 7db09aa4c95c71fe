// The verbs that programs reach through a context's tables instead of by symbol.
#pragma once

#include "device/context.h"

namespace railyard::sim {

// Fills the tables of a context that was just opened.
void install_operations(Context& context);
void install_operations(QueuePair& pair);
void install_operations(CompletionQueue& queue);

// Verbs that more than one table or symbol leads to. Each returns what the verb does, with errno
// set.
int query_port(ibv_context* context, uint8_t port_number, ibv_port_attr* out, size_t out_bytes);
int query_device_ex(ibv_context* context, const ibv_query_device_ex_input* input,
                    ibv_device_attr_ex* out, size_t out_bytes);
ibv_qp* create_queue_pair(ibv_context* context, ibv_qp_init_attr_ex* wanted);
ibv_cq_ex* create_completion_queue(ibv_context* context, ibv_cq_init_attr_ex* wanted);
int poll(ibv_cq* queue, int count, ibv_wc* out);
int request_notification(ibv_cq* queue, int solicited_only);
int post_send(ibv_qp* pair, ibv_send_wr* requests, ibv_send_wr** bad);
int post_receive(ibv_qp* pair, ibv_recv_wr* requests, ibv_recv_wr** bad);
ibv_srq* create_shared_receive_queue(ibv_context* context, ibv_srq_init_attr_ex* wanted);
int shared_receive_queue_number(ibv_srq* queue, uint32_t* number);
int post_shared_receive(ibv_srq* queue, ibv_recv_wr* requests, ibv_recv_wr** bad);
ibv_xrcd* open_extended_domain(ibv_context* context, ibv_xrcd_init_attr* wanted);
int close_extended_domain(ibv_xrcd* domain);
ibv_qp* open_queue_pair(ibv_context* context, ibv_qp_open_attr* wanted);
ibv_mw* allocate_window(ibv_pd* domain, ibv_mw_type type);
int deallocate_window(ibv_mw* window);
int bind_window(ibv_qp* pair, ibv_mw* window, ibv_mw_bind* bind);

// Every verb of the control path passes here: it is noted for those who look on, and gated. 0 or an
// errno, which is also set.
int enter(const Context& context, Verb verb);

}  // namespace railyard::sim
