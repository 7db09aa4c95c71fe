#include "transport/tcp_rail.h"

#include <cerrno>
#include <cstring>

namespace railyard {

namespace {

constexpr size_t kBufferBytes = 512 << 10;

// What a message takes of the byte stream: the next one begins on a cache line again.
size_t stride(const MessageHeader& header) {
  return (kHeaderBytes + header.payload_bytes + kHeaderBytes - 1) / kHeaderBytes * kHeaderBytes;
}

}  // namespace

void TcpRail::Buffer::compact() {
  size_t kept = bytes();
  if (begin_ % sizeof(MessageHeader) != 0) return;  // half a line is out already
  if (kept > 0 && begin_ > 0) std::memmove(data(), begin(), kept);
  begin_ = 0;
  end_ = kept;
}

TcpRail::TcpRail(Place place, Socket socket)
    : Rail(place), socket_(std::move(socket)), outgoing_(kBufferBytes), incoming_(kBufferBytes) {
  cut_ = Cut{kLargePayload};
}

bool TcpRail::send(const MessageHeader& header, const std::byte* payload, bool) {
  size_t bytes = stride(header);
  if (outgoing_.room() < bytes) flush();
  if (outgoing_.room() < bytes) return false;
  std::memcpy(outgoing_.end(), &header, kHeaderBytes);
  if (header.payload_bytes > 0) {
    std::memcpy(outgoing_.end() + kHeaderBytes, payload, header.payload_bytes);
  }
  outgoing_.add(bytes);
  flush();
  return true;
}

bool TcpRail::flush() {
  if (closed_ || outgoing_.bytes() == 0) return false;
  auto sent = socket_.send(outgoing_.begin(), outgoing_.bytes());
  if (!sent) return end();
  outgoing_.drop(*sent);
  if (outgoing_.bytes() == 0 || outgoing_.room() < kHeaderBytes + kLargePayload) {
    outgoing_.compact();
  }
  return *sent > 0;
}

bool TcpRail::fill() {
  if (closed_) return false;
  if (incoming_.room() < kBufferBytes / 2) incoming_.compact();
  if (incoming_.room() == 0) {
    if (outgoing_.bytes() == 0) return false;  // the peer is far ahead of this rank
    // Both may be sending before either receives: one has to take what the other has to say.
    incoming_.grow();
  }
  auto got = socket_.receive(incoming_.end(), incoming_.room());
  if (!got) return end();
  incoming_.add(*got);
  return *got > 0;
}

bool TcpRail::end() {
  closed_ = true;
  error_number_ = errno;
  return true;
}

bool TcpRail::move() {
  bool sent = flush();
  return fill() || sent;
}

Arrival TcpRail::front(bool) const {
  if (incoming_.bytes() < kHeaderBytes) return {};
  const auto* header = reinterpret_cast<const MessageHeader*>(incoming_.begin());
  if (incoming_.bytes() < stride(*header)) return {};
  return {header, incoming_.begin() + kHeaderBytes};
}

void TcpRail::pop(bool) {
  incoming_.drop(stride(*reinterpret_cast<const MessageHeader*>(incoming_.begin())));
}

}  // namespace railyard
