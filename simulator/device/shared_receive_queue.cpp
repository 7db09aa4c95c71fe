#include "device/shared_receive_queue.h"

#include <cerrno>

#include "device/completion_queue.h"
#include "device/context.h"
#include "device/queue_pair.h"

namespace railyard::sim {

int SharedReceiveQueue::post(ibv_recv_wr* requests, ibv_recv_wr** bad) {
  uint64_t now = owner_.segment().now_ticks();
  int error = 0;
  for (ibv_recv_wr* request = requests; request && error == 0; request = request->next) {
    uint64_t bytes = 0;
    if (request->num_sge < 0 || static_cast<uint32_t>(request->num_sge) > max_pieces) {
      error = EINVAL;
    } else if (!receives.has_room(1)) {
      error = owner_.profile().over_post_error;
    } else {
      for (int i = 0; i < request->num_sge; ++i) bytes += request->sg_list[i].length;
      receives.push(request->wr_id, now, bytes, 1, request->sg_list, request->num_sge);
    }
    if (error != 0) *bad = request;
  }
  owner_.attachment().note_progress(now);
  for (QueuePair* pair : owner_.queue_pairs) {
    if (pair->holding()) pair->progress_receives();
  }
  return error;
}

void SharedReceiveQueue::update_attention() const {
  uint32_t flags = 0;
  if (completions && completions->channel) flags |= layout::kHasChannel;
  if (completions && completions->armed()) flags |= layout::kArmed;
  owner_.segment().shared_queue(number).attention.store(flags, std::memory_order_release);
}

void SharedReceiveQueue::watch_limit() {
  if (limit == 0 || receives.size() >= limit) return;
  limit = 0;
  owner_.raise(IBV_EVENT_SRQ_LIMIT_REACHED, static_cast<ibv_srq*>(this));
}

}  // namespace railyard::sim
