// Messages put together from the events at their two ends.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "railyard/fabric.h"
#include "railyard/record.h"

namespace railyard::harness {

// Events may come in any order. Keeps at least the last `most` messages.
class MessageBook {
 public:
  explicit MessageBook(size_t most) : most_(most) {}

  void add(const fabric::TraceEvent& event);

  // Which messages were seen, by time of posting; moves them out.
  std::vector<RecordedMessage> take();
  uint64_t seen() const { return seen_; }

 private:
  RecordedMessage& find(const fabric::TraceEvent& event);
  void forget_the_oldest();

  size_t most_;
  uint64_t seen_ = 0;
  std::vector<RecordedMessage> messages_;
  // Messages that never got onto a wire have no number: their sender and request stand in.
  std::unordered_map<uint64_t, size_t> by_number_, by_request_;
};

}  // namespace railyard::harness
