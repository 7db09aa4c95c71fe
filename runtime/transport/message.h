// What travels between two ranks: messages, each with a header in front of its payload, cut from
// the segments of an operation by a rule that both sides apply by themselves.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "railyard/dtype.h"
#include "verbs/device.h"

namespace railyard {

enum class OperationKind : uint8_t {
  none,
  all_sum,
  all_max,
  all_min,
  all_gather,
  sum_scatter,
  broadcast,
  all_to_all,
  barrier,
  point_to_point,
};

// "all_sum", "send/recv"
const char* name(OperationKind kind);

// What one side believes to be doing: compared on every message, so that ranks that call different
// things find out.
struct OperationTag {
  uint64_t bytes = 0;
  OperationKind kind = OperationKind::none;
  uint8_t dtype = kNoDtype;
  int16_t root = -1;  // of a broadcast

  static constexpr uint8_t kNoDtype = 0xff;

  bool operator==(const OperationTag&) const = default;
};

// "all_sum of 4096 bytes of float16".
std::string to_string(const OperationTag& tag);

enum class MessageKind : uint32_t {
  data = 0x52594431,          // a piece of a stream
  control = 0x52594332,       // credits and grants alone; what its sender expects, if anything
  announcement = 0x52594133,  // what its sender will send, before the first large message of it
  brief = 0x52594234,         // a stream of one short message, in another form: see BriefHeader
};

// All counters are totals since the start and wrap around.
struct alignas(64) MessageHeader {
  MessageKind kind = MessageKind::control;
  uint32_t payload_bytes = 0;
  // The sender's streams to this peer so far; in a control message: those from it.
  uint32_t stream = 0;
  uint32_t message = 0;  // place in the stream; in a control message: the first one newly granted
  OperationTag tag;
  uint32_t credits = 0;  // small messages of the receiver's that this sender has made room for
  uint32_t grants = 0;  // large messages of the receiver's that this sender has posted receives for
  // Which ones the latest of these are: `message`, and how much further each next one is.
  static constexpr uint32_t kMostNews = 16;
  uint8_t steps[kMostNews] = {};

  // Of a message of this stream that carries data.
  static MessageHeader of(uint32_t stream, const OperationTag& tag) {
    MessageHeader header;
    header.kind = MessageKind::data;
    header.stream = stream;
    header.tag = tag;
    return header;
  }
};
static_assert(sizeof(MessageHeader) == 64, "payloads begin on a cache line");

inline constexpr size_t kHeaderBytes = sizeof(MessageHeader);
// A small message is one frame, so that any small message fits any receive for small ones.
inline constexpr size_t kSmallBytes = kFrameBytes;
inline constexpr size_t kSmallPayload = kSmallBytes - kHeaderBytes;
// Up to here, several small messages that need no grant are faster than a large one.
inline constexpr size_t kSmallRun = 4 * kSmallPayload;
static_assert(kSmallPayload % 8 == 0, "messages hold whole elements");

// The header of a data message that is all of its stream and of its operation's bytes, and short:
// it is sent like this, a tiny one in half a cache line, and unpacked where it arrives.
struct BriefHeader {
  static constexpr size_t kMostPayload = kSmallPayload;

  MessageKind kind = MessageKind::brief;
  uint32_t stream = 0;
  uint32_t credits = 0;
  uint16_t payload_bytes = 0;
  OperationKind operation = OperationKind::none;
  uint8_t dtype = OperationTag::kNoDtype;

  // Of an operation that sends all its bytes in one such message.
  static bool fits(const OperationTag& tag) { return tag.bytes <= kMostPayload && tag.root < 0; }
  static bool fits(const MessageHeader& header) {
    return header.kind == MessageKind::data && header.payload_bytes == header.tag.bytes &&
           header.message == 0 && fits(header.tag);
  }
  static BriefHeader of(uint32_t stream, const OperationTag& tag, uint32_t credits) {
    return {.stream = stream,
            .credits = credits,
            .payload_bytes = static_cast<uint16_t>(tag.bytes),
            .operation = tag.kind,
            .dtype = tag.dtype};
  }
  bool is(uint32_t of_stream, const OperationTag& tag) const {
    return kind == MessageKind::brief && stream == of_stream && payload_bytes == tag.bytes &&
           operation == tag.kind && dtype == tag.dtype && tag.root < 0;
  }
};
static_assert(sizeof(BriefHeader) == 16);

// Puts a message into a slot of kSmallBytes as it is sent; returns its length.
size_t write_message(std::byte* slot, const MessageHeader& header, const std::byte* payload);
size_t write_brief(std::byte* slot, const BriefHeader& header, const std::byte* payload);
// Unpacks a message that has come in a slot: a header and the payload behind it.
const MessageHeader& read_message(std::byte* slot);

// How a segment is cut into messages. The same for all ranks of a group, as they combine what comes
// from several of them message by message.
struct Cut {
  size_t large_payload = 0;  // 0: there are no large messages
  uint32_t rails = 1;        // the most between any two ranks

  // The next message when `remaining` bytes of the segment are left.
  size_t next(size_t remaining) const {
    return is_large(remaining) ? next_large(remaining) : next_small(remaining);
  }
  bool is_large(size_t remaining) const { return large_payload > 0 && remaining > kSmallRun; }

  // An empty segment is one empty message.
  uint32_t count(size_t bytes) const;

 private:
  // Over several rails the last ones become shorter, so that the rails end together.
  size_t next_large(size_t remaining) const {
    if (rails <= 1) return std::min(remaining, large_payload);
    size_t part = (remaining / (2 * rails) + kFrameBytes - 1) / kFrameBytes * kFrameBytes;
    return std::min({remaining, large_payload, std::max(part, kLeastOfSeveral)});
  }
  static constexpr size_t kLeastOfSeveral = 64 << 10;
  // Small messages of one segment are about as long as each other: so the peer works on one while
  // the next is written.
  static size_t next_small(size_t remaining) {
    size_t messages = (remaining + kSmallPayload - 1) / kSmallPayload;
    if (messages <= 1) return remaining;
    return (remaining / messages + kLine - 1) / kLine * kLine;
  }
  static constexpr size_t kLine = 64;
  static_assert(kSmallPayload % kLine == 0);
};

}  // namespace railyard
