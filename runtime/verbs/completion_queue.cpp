#include "verbs/completion_queue.h"

#include <cerrno>

#include "verbs/library.h"
#include "verbs/verb_error.h"

namespace railyard {

CompletionQueue::CompletionQueue(std::shared_ptr<Device> device, int entries)
    : device_(std::move(device)) {
  errno = 0;
  queue_ = library().create_cq(device_->context(), entries, nullptr, nullptr, 0);
  if (queue_) return;
  ErrorCode code = errno == ENOMEM || errno == EBUSY ? ErrorCode::limit_reached : ErrorCode::device;
  Error error = verb_error(code, "ibv_create_cq", errno, {device_->name()});
  error.limit = "completion queue entries";
  error.asked = entries;
  throw error;
}

CompletionQueue::~CompletionQueue() { library().destroy_cq(queue_); }

}  // namespace railyard
