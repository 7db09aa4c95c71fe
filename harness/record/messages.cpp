#include "record/messages.h"

#include <algorithm>

namespace railyard::harness {

namespace {

using fabric::TraceKind;

uint64_t request_key(uint32_t pair, uint32_t request) { return uint64_t{pair} << 32 | request; }

int64_t time_of(const RecordedMessage& message) {
  return message.posted_ns >= 0 ? message.posted_ns : message.arrived_ns;
}

}  // namespace

RecordedMessage& MessageBook::find(const fabric::TraceEvent& event) {
  auto& index = event.message != 0 ? by_number_ : by_request_;
  uint64_t key = event.message != 0 ? event.message : request_key(event.queue_pair, event.request);
  auto [found, added] = index.try_emplace(key, messages_.size());
  if (!added) return messages_[found->second];
  ++seen_;
  RecordedMessage& message = messages_.emplace_back();
  message.number = event.message;
  return message;
}

void MessageBook::add(const fabric::TraceEvent& event) {
  switch (event.kind) {
    case TraceKind::post_send: {
      RecordedMessage& message = find(event);
      message.posted_ns = event.at_ns;
      message.pair = event.queue_pair;
      message.request = event.request;
      message.bytes = event.bytes;
      message.opcode = event.detail;
      break;
    }
    case TraceKind::send_done: {
      RecordedMessage& message = find(event);
      message.completed_ns = event.at_ns;
      message.pair = event.queue_pair;
      message.bytes = event.bytes;
      message.status = event.detail;
      break;
    }
    case TraceKind::receive_done:
    case TraceKind::arrived: {
      if (event.message == 0) return;  // flushed: no message filled it
      RecordedMessage& message = find(event);
      message.arrived_ns = event.at_ns;
      message.peer = event.queue_pair;
      if (message.posted_ns < 0) message.bytes = event.bytes;
      break;
    }
    case TraceKind::lost: {
      RecordedMessage& message = find(event);
      message.lost = event.detail;
      if (message.pair != 0 && message.pair != event.queue_pair) message.peer = event.queue_pair;
      break;
    }
    default:
      return;
  }
  if (messages_.size() > 2 * most_) forget_the_oldest();
}

void MessageBook::forget_the_oldest() {
  size_t gone = messages_.size() - most_;
  messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(gone));
  for (auto* index : {&by_number_, &by_request_}) {
    for (auto each = index->begin(); each != index->end();) {
      if (each->second < gone) {
        each = index->erase(each);
      } else {
        (each++)->second -= gone;
      }
    }
  }
}

std::vector<RecordedMessage> MessageBook::take() {
  if (messages_.size() > most_) forget_the_oldest();
  std::stable_sort(
      messages_.begin(), messages_.end(),
      [](const RecordedMessage& a, const RecordedMessage& b) { return time_of(a) < time_of(b); });
  by_number_.clear();
  by_request_.clear();
  return std::move(messages_);
}

}  // namespace railyard::harness
