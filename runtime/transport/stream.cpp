#include "transport/stream.h"

#include <fmt/format.h>

#include <algorithm>

namespace railyard {

namespace {

// For errors: where the message that `carrier` finds will travel, or would by turns.
template <typename Carrier>
const Rail& expected_rail(const Link& link, const Cursor& cursor, Carrier carrier) {
  const Rail* rail = nullptr;
  if (!cursor.done()) rail = (link.*carrier)(cursor.message(), cursor.large());
  return rail ? *rail : *link.in_turn(cursor.message());
}

[[noreturn]] void fail_mismatch(const Rail& rail, const OperationTag& here,
                                const OperationTag& there, const std::string& detail) {
  ErrorFields fields = fields_of(to_string(here), rail.place());
  throw Error(ErrorCode::mismatched_collectives,
              fmt::format("rank {} called {} where this rank called {}{}", rail.peer(),
                          to_string(there), to_string(here), detail),
              fields);
}

// What the peer has said to wait for, or to be about to send, is of another operation.
void check_expectations(const Link& link, uint32_t stream, const OperationTag& tag) {
  for (const Rail* rail : link.rails) {
    const auto& expected = rail->peer_expects();
    if (expected && expected->stream == stream && expected->tag != tag) [[unlikely]] {
      fail_mismatch(*rail, tag, expected->tag, "");
    }
  }
}

void check_tag(const Rail& rail, const MessageHeader& other, uint32_t stream,
               const OperationTag& tag) {
  if (other.stream == stream && other.tag != tag) fail_mismatch(rail, tag, other.tag, "");
}

void check_announcement(const Link& link, const Rail& rail, uint32_t stream,
                        const OperationTag& tag) {
  if (const auto& other = link.rails.front()->peer_announces())
    check_tag(rail, *other, stream, tag);
}

void check(const Rail& rail, const MessageHeader& header, uint32_t stream, uint32_t message,
           size_t bytes, const OperationTag& tag) {
  check_tag(rail, header, stream, tag);
  if (header.kind == MessageKind::data && header.stream == stream && header.message == message &&
      header.payload_bytes == bytes) {
    return;
  }
  fail_mismatch(
      rail, tag, header.tag,
      fmt::format(": message {} of stream {} with {} bytes came where message {} of "
                  "stream {} with {} bytes was expected",
                  header.message, header.stream, header.payload_bytes, message, stream, bytes));
}

}  // namespace

OutStream::OutStream(Link& link, const OperationTag& tag, const Segments& segments,
                     uint32_t allowed_messages)
    : link_(&link),
      tag_(tag),
      stream_(link.outgoing_streams++),
      cursor_(link.cut(), segments),
      allowed_(allowed_messages),
      announced_(cursor_.done() || !cursor_.large()) {}

void OutStream::pump() {
  check_expectations(*link_, stream_, tag_);
  if (cursor_.done()) return;
  if (!announced_ &&
      !(announced_ = link_->rails.front()->announce(MessageHeader::of(stream_, tag_))))
    return;
  while (!cursor_.done() && cursor_.message() < allowed_) {
    MessageHeader message = MessageHeader::of(stream_, tag_);
    message.payload_bytes = static_cast<uint32_t>(cursor_.bytes());
    message.message = cursor_.message();
    Rail* rail = link_->rail_to_send(message.message, cursor_.large());
    if (!rail || !rail->send(message, cursor_.data(), cursor_.large())) return;
    cursor_.advance();
  }
}

uint32_t OutStream::left() const {
  uint32_t left = cursor_.message();
  for (const Rail* rail : link_->rails) {
    left = std::min(left, rail->oldest_in_place());
  }
  return left;
}

const Rail& OutStream::rail() const { return expected_rail(*link_, cursor_, &Link::rail_to_send); }

InStream::InStream(Link& link, const OperationTag& tag, const Segments& segments)
    : link_(&link),
      tag_(tag),
      stream_(link.incoming_streams++),
      cursor_(link.cut(), segments),
      ahead_(cursor_),
      granted_(std::none_of(segments.begin(), segments.end(), [&](const Segment& segment) {
        return link.cut().is_large(segment.bytes);
      })) {}

void InStream::grant() {
  while (!ahead_.done()) {
    if (ahead_.large()) {
      Rail* rail = link_->striping.choose(link_->rails);
      if (!rail) break;
      rail->grant(ahead_.message(), ahead_.bytes(), ahead_.data());
    }
    ahead_.advance();
  }
  MessageHeader expected;
  expected.stream = stream_;
  expected.tag = tag_;
  bool all_told = true;
  for (Rail* rail : link_->rails) all_told = rail->tell_grants(expected) && all_told;
  granted_ = ahead_.done() && all_told;
}

// A peer that does something else may send large messages where a small one is waited for, and the
// other way round. (Small ones of this stream may be here too, ahead of the large ones before
// them.)
void InStream::look_for_another_operation(const Rail& rail) const {
  check_announcement(*link_, rail, stream_, tag_);
  if (!cursor_.large()) return;
  Arrival other = link_->in_turn(cursor_.message())->front(false);
  if (other && other.header) check_tag(rail, *other.header, stream_, tag_);
}

const Rail& InStream::rail() const {
  return expected_rail(*link_, cursor_, &Link::rail_to_receive);
}

const std::byte* InStream::front() {
  if (done()) return nullptr;
  Rail* rail = link_->rail_to_receive(cursor_.message(), cursor_.large());
  Arrival arrival = rail ? rail->front(cursor_.large()) : Arrival{};
  if (!arrival) {
    if (rail && cursor_.large()) link_->striping.note_wait(link_->rails, *rail, cursor_.message());
    look_for_another_operation(rail ? *rail : *link_->in_turn(cursor_.message()));
    return nullptr;
  }
  if (arrival.header) {
    check(*rail, *arrival.header, stream_, cursor_.message(), cursor_.bytes(), tag_);
  }
  return arrival.payload;
}

void ShortExchange::look_closer() const {
  Arrival other = rail_->front(false);
  if (other && other.header) check(*rail_, *other.header, in_, 0, tag_.bytes, tag_);
  check_announcement(*link_, *rail_, in_, tag_);
  check_expectations(*link_, out_, tag_);
}

void InStream::pop() {
  link_->rail_to_receive(cursor_.message(), cursor_.large())->pop(cursor_.large());
  cursor_.advance();
}

}  // namespace railyard
