// Receives that several queue pairs share.
#pragma once

#include <infiniband/verbs.h>

#include "device/receive_queue.h"

namespace railyard::sim {

class CompletionQueue;
class Context;
struct ExtendedDomain;

// Guarded by its context's lock.
class SharedReceiveQueue : public ibv_srq {
 public:
  SharedReceiveQueue(Context& owner, uint32_t requests, uint32_t pieces, uint32_t own_number)
      : ibv_srq{},
        owner_(owner),
        receives(requests, pieces),
        depth(requests),
        max_pieces(pieces),
        number(own_number) {
    pthread_mutex_init(&mutex, nullptr);
    pthread_cond_init(&cond, nullptr);
  }

  static SharedReceiveQueue* from(ibv_srq* queue) {
    return static_cast<SharedReceiveQueue*>(queue);
  }
  Context& owner() { return owner_; }

  // 0 or an errno, with the offending request in `bad`.
  int post(ibv_recv_wr* requests, ibv_recv_wr** bad);
  // Shows peers whether its completion queue waits for an event.
  void update_attention() const;
  // After a receive was taken: tells once when fewer than the limit are left.
  void watch_limit();

 private:
  Context& owner_;

 public:
  ReceiveQueue receives;
  uint32_t depth, max_pieces;
  uint32_t limit = 0;                      // 0: none
  uint32_t number;                         // by which XRC senders name it
  uint32_t users = 0;                      // queue pairs
  CompletionQueue* completions = nullptr;  // XRC: where its completions go
  ExtendedDomain* domain = nullptr;
};

}  // namespace railyard::sim
