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

OutStream::OutStream(Rail& rail, const OperationTag& tag, const std::vector<Segment>& segments,
                     uint32_t allowed_messages)
    : rail_(rail),
      tag_(tag),
      stream_(rail.begin_outgoing()),
      cursor_(rail.cut(), sizes(segments)),
      allowed_(allowed_messages) {
  data_.reserve(segments.size());
  for (const Segment& segment : segments)
    data_.push_back(static_cast<const std::byte*>(segment.data));
}

void OutStream::check_peer() const {
  const auto& expected = rail_.peer_expects();
  if (expected && expected->stream == stream_ && expected->tag != tag_) {
    fail_mismatch(rail_, tag_, expected->tag, "");
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
    if (!rail_.send(header, data_[cursor_.segment()] + cursor_.offset(), cursor_.large())) return;
    cursor_.advance();
  }
}

InStream::InStream(Rail& rail, const OperationTag& tag, const std::vector<size_t>& segments)
    : rail_(rail),
      tag_(tag),
      stream_(rail.begin_incoming()),
      cursor_(rail.cut(), segments),
      ahead_(cursor_) {}

void InStream::pump() {
  if (done()) return;
  while (!ahead_.done()) {
    if (ahead_.large()) {
      if (!rail_.can_grant()) break;
      rail_.grant(kHeaderBytes + ahead_.bytes());
    }
    ahead_.advance();
  }
  MessageHeader expected;
  expected.stream = stream_;
  expected.tag = tag_;
  rail_.tell_grants(expected);
}

void InStream::check(const MessageHeader& header) const {
  if (header.stream == stream_ && header.tag != tag_) fail_mismatch(rail_, tag_, header.tag, "");
  if (header.kind == MessageKind::data && header.stream == stream_ &&
      header.message == cursor_.message() && header.payload_bytes == cursor_.bytes()) {
    return;
  }
  fail_mismatch(
      rail_, tag_, header.tag,
      fmt::format(": message {} of stream {} with {} bytes came where message {} of stream "
                  "{} with {} bytes was expected",
                  header.message, header.stream, header.payload_bytes, cursor_.message(), stream_,
                  cursor_.bytes()));
}

const std::byte* InStream::front() {
  if (done()) return nullptr;
  const MessageHeader* header = rail_.front(cursor_.large());
  if (!header && cursor_.large()) {
    // A peer that does something else sends small messages where a large one is waited for. (Those
    // of this stream may be here too, ahead of the large ones before them.)
    const MessageHeader* other = rail_.front(false);
    if (other && other->stream == stream_ && other->tag != tag_)
      fail_mismatch(rail_, tag_, other->tag, "");
  }
  if (!header) return nullptr;
  check(*header);
  return reinterpret_cast<const std::byte*>(header) + kHeaderBytes;
}

void InStream::pop() {
  rail_.pop(cursor_.large());
  cursor_.advance();
}

}  // namespace railyard
