// A completion queue.
#pragma once

#include <infiniband/verbs.h>

#include <memory>

#include "verbs/device.h"

namespace railyard {

class CompletionQueue {
 public:
  // Room for at least `entries` completions. Throws Error.
  CompletionQueue(std::shared_ptr<Device> device, int entries);
  ~CompletionQueue();
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  ibv_cq* get() const { return queue_; }
  const Device& device() const { return *device_; }

  // The number of completions taken, negative on failure.
  int poll(ibv_wc* completions, int most) {
    return queue_->context->ops.poll_cq(queue_, most, completions);
  }

 private:
  std::shared_ptr<Device> device_;
  ibv_cq* queue_ = nullptr;
};

}  // namespace railyard
