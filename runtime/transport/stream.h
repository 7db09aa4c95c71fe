// What one operation sends to, or receives from, one peer: segments in order, cut into messages
// that go over all rails to the peer.
#pragma once

#include <cstddef>
#include <initializer_list>

#include "transport/arena.h"
#include "transport/link.h"

namespace railyard {

// A piece of what a stream carries.
struct Segment {
  // Outgoing: the data. Incoming: where they are to lie in the end, if they may be put there before
  // anything else happens to them; null if they are to be handed over somewhere else.
  std::byte* data = nullptr;
  size_t bytes = 0;
};
using Segments = List<Segment>;

inline Segment outgoing(const std::byte* data, size_t bytes) {
  return {const_cast<std::byte*>(data), bytes};
}
inline Segments segments_of(Arena& arena, std::initializer_list<Segment> items) {
  Segments segments(arena, items.size());
  for (const Segment& item : items) segments.add(item);
  return segments;
}

// Walks over the messages of a list of segments.
class Cursor {
 public:
  Cursor(const Cut& cut, const Segments& segments) : cut_(cut), segments_(segments) {}

  bool done() const { return segment_ == segments_.size(); }
  size_t segment() const { return segment_; }
  size_t offset() const { return offset_; }  // in the segment
  uint32_t message() const { return message_; }
  size_t bytes() const { return cut_.next(segments_[segment_].bytes - offset_); }
  bool large() const { return cut_.is_large(segments_[segment_].bytes - offset_); }
  // Where the message's data lie or go; null where the segment has no place.
  std::byte* data() const {
    std::byte* data = segments_[segment_].data;
    return data ? data + offset_ : nullptr;
  }
  void advance() {
    offset_ += bytes();
    ++message_;
    if (offset_ < segments_[segment_].bytes) return;
    ++segment_;
    offset_ = 0;
  }

 private:
  Cut cut_;
  Segments segments_;
  size_t segment_ = 0, offset_ = 0;
  uint32_t message_ = 0;
};

// Posts the messages of its segments as fast as the rails take them, but not before they may go:
// data of later segments is often still to be computed.
class OutStream {
 public:
  static constexpr uint32_t kAll = ~uint32_t{0};

  OutStream(Link& link, const OperationTag& tag, const Segments& segments,
            uint32_t allowed_messages = kAll);

  // The first `messages` messages may go.
  void allow(uint32_t messages) { allowed_ = messages; }
  // Posts what it can. Throws Error when the peer expects something else.
  void pump();
  // How many messages have been read from where their data lie: that may be overwritten.
  uint32_t left() const;
  bool begun() const { return cursor_.message() > 0; }
  bool done() const { return cursor_.done() && left() == cursor_.message(); }
  // The rail of the next message.
  const Rail& rail() const;

 private:
  Link* link_;
  OperationTag tag_;
  uint32_t stream_;
  Cursor cursor_;
  uint32_t allowed_;
  bool announced_;  // or nothing to announce
};

// Takes the messages of its segments in order, and posts receives for the large ones ahead of time.
class InStream {
 public:
  InStream(Link& link, const OperationTag& tag, const Segments& segments);

  // Posts receives for what comes next and tells the peer.
  void pump() {
    if (!granted_ && !done()) grant();
  }
  // The payload of the next message, null when it is not there yet. It may lie where its segment
  // wanted it. Throws Error when the peer sends something else than is expected.
  const std::byte* front();
  // Gives the message's memory back.
  void pop();

  size_t segment() const { return cursor_.segment(); }
  size_t offset() const { return cursor_.offset(); }
  size_t bytes() const { return cursor_.bytes(); }
  uint32_t taken() const { return cursor_.message(); }
  bool done() const { return cursor_.done(); }
  // The rail of the next message.
  const Rail& rail() const;

 private:
  void grant();
  void look_for_another_operation(const Rail& rail) const;

  Link* link_;
  OperationTag tag_;
  uint32_t stream_;
  Cursor cursor_;
  Cursor ahead_;  // the next message that has no receive yet
  bool granted_;  // all has receives, and the peer knows
};

// A stream of one short message to a peer and one from it (BriefHeader::fits(tag)): what most of
// all an operation of a few bytes does, without the accounts of the two classes above.
class ShortExchange {
 public:
  ShortExchange(Link& link, const OperationTag& tag)
      : link_(&link),
        rail_(link.rails.front()),
        tag_(tag),
        out_(link.outgoing_streams++),
        in_(link.incoming_streams++) {}

  // Whether the message has gone, with a copy of `data`.
  bool send(const std::byte* data) {
    return sent_ || (sent_ = rail_->send_brief(out_, tag_, data));
  }
  // The peer's message, null when it is not there yet. Throws Error when the peer sends or expects
  // something else.
  const std::byte* front() {
    const std::byte* payload = rail_->brief(in_, tag_);
    if (!payload) [[unlikely]]
      look_closer();
    return payload;
  }
  void pop() { rail_->pop(false); }
  size_t bytes() const { return tag_.bytes; }
  const Rail& rail() const { return *rail_; }

 private:
  void look_closer() const;

  Link* link_;
  Rail* rail_;
  OperationTag tag_;
  uint32_t out_, in_;
  bool sent_ = false;
};

}  // namespace railyard
