#include "transport/stream.h"

#include <fmt/format.h>

namespace railyard {

namespace {

std::vector<size_t> sizes(const std::vector<Segment>& segments) {
  std::vector<size_t> bytes;
  bytes.reserve(segments.size());
  for (const Segment& segment : segments) bytes.push_back(segment.bytes);
  return bytes;
}

[[noreturn]] void fail_mismatch(const Rail& rail, const OperationTag& here,
                                const OperationTag& there, const std::string& detail) {
  ErrorFields fields = fields_of(to_string(here), rail.place());
  throw Error(ErrorCode::mismatched_collectives,
              fmt::format("rank {} called {} where this rank called {}{}", rail.peer(),
                          to_string(there), to_string(here), detail),
              fields);
}

}  // namespace

OutStream::OutStream(Link& link, const OperationTag& tag, const std::vector<Segment>& segments,
                     uint32_t allowed_messages)
    : link_(&link),
      tag_(tag),
      stream_(link.outgoing_streams++),
      cursor_(link.cut(), sizes(segments)),
      allowed_(allowed_messages) {
  data_.reserve(segments.size());
  for (const Segment& segment : segments)
    data_.push_back(static_cast<const std::byte*>(segment.data));
}

void OutStream::check_peer() const {
  for (const Rail* rail : link_->rails) {
    const auto& expected = rail->peer_expects();
    if (expected && expected->stream == stream_ && expected->tag != tag_) {
      fail_mismatch(*rail, tag_, expected->tag, "");
    }
  }
}

void OutStream::pump() {
  check_peer();
  while (!done() && cursor_.message() < allowed_) {
    MessageHeader header;
    header.kind = MessageKind::data;
    header.payload_bytes = static_cast<uint32_t>(cursor_.bytes());
    header.stream = stream_;
    header.message = cursor_.message();
    header.tag = tag_;
    Rail& rail = link_->rail_of(header.message);
    if (!rail.send(header, data_[cursor_.segment()] + cursor_.offset(), cursor_.large())) return;
    cursor_.advance();
  }
}

InStream::InStream(Link& link, const OperationTag& tag, const std::vector<size_t>& segments)
    : link_(&link),
      tag_(tag),
      stream_(link.incoming_streams++),
      cursor_(link.cut(), segments),
      ahead_(cursor_) {}

void InStream::pump() {
  if (done()) return;
  while (!ahead_.done()) {
    if (ahead_.large()) {
      Rail& rail = link_->rail_of(ahead_.message());
      if (!rail.can_grant()) break;
      rail.grant(kHeaderBytes + ahead_.bytes());
    }
    ahead_.advance();
  }
  MessageHeader expected;
  expected.stream = stream_;
  expected.tag = tag_;
  for (Rail* rail : link_->rails) rail->tell_grants(expected);
}

void InStream::check(const MessageHeader& header) const {
  if (header.stream == stream_ && header.tag != tag_) fail_mismatch(rail(), tag_, header.tag, "");
  if (header.kind == MessageKind::data && header.stream == stream_ &&
      header.message == cursor_.message() && header.payload_bytes == cursor_.bytes()) {
    return;
  }
  fail_mismatch(
      rail(), tag_, header.tag,
      fmt::format(": message {} of stream {} with {} bytes came where message {} of stream "
                  "{} with {} bytes was expected",
                  header.message, header.stream, header.payload_bytes, cursor_.message(), stream_,
                  cursor_.bytes()));
}

const std::byte* InStream::front() {
  if (done()) return nullptr;
  const MessageHeader* header = rail().front(cursor_.large());
  if (!header && cursor_.large()) {
    // A peer that does something else sends small messages where a large one is waited for. (Those
    // of this stream may be here too, ahead of the large ones before them.)
    const MessageHeader* other = rail().front(false);
    if (other && other->stream == stream_ && other->tag != tag_)
      fail_mismatch(rail(), tag_, other->tag, "");
  }
  if (!header) return nullptr;
  check(*header);
  return reinterpret_cast<const std::byte*>(header) + kHeaderBytes;
}

void InStream::pop() {
  link_->rail_of(cursor_.message()).pop(cursor_.large());
  cursor_.advance();
}

}  // namespace railyard
