// One way to one peer, for whole messages in order. Over RDMA it is a cable (verbs_rail.h), else a
// TCP connection (tcp_rail.h).
#pragma once

#include <optional>
#include <string>

#include "transport/message.h"
#include "verbs/verb_error.h"

namespace railyard {

// A message that has come. The header is null where none travels with it: over RDMA large messages
// are payload alone, because the grant for each says what it is.
struct Arrival {
  const MessageHeader* header = nullptr;
  const std::byte* payload = nullptr;  // null: nothing has come

  explicit operator bool() const { return payload != nullptr; }
};

class Rail {
 public:
  struct Place {
    int id = 0;  // among the rails of this process's group
    int peer = 0;
    int index = 0;  // among the rails to this peer
  };

  // No message.
  static constexpr uint32_t kNone = ~uint32_t{0};

  explicit Rail(Place place) : place_(place) {}
  virtual ~Rail() = default;
  Rail(const Rail&) = delete;
  Rail& operator=(const Rail&) = delete;

  int id() const { return place_.id; }
  int peer() const { return place_.peer; }
  int index() const { return place_.index; }
  virtual const std::string& device() const = 0;
  VerbPlace place() const { return {device(), place_.peer, place_.index}; }
  const Cut& cut() const { return cut_; }

  // Takes the message, or returns false when there is no room for it now. The payload has been
  // copied then, unless oldest_in_place() says otherwise.
  virtual bool send(const MessageHeader& header, const std::byte* payload, bool large) = 0;
  // The same for a stream that is one short message (BriefHeader::fits(tag)), and quicker.
  virtual bool send_brief(uint32_t stream, const OperationTag& tag, const std::byte* payload) {
    return send(header_of(stream, tag), payload, false);
  }
  // The number of the first large message whose payload is still being read where it lies; kNone if
  // there is no such message.
  uint32_t oldest_in_place() const { return oldest_in_place_; }
  // Tells the peer what will come, for its checks; false when there is no room for it now.
  virtual bool announce(const MessageHeader& header) = 0;
  // What the peer last said to receive, and to send.
  const std::optional<MessageHeader>& peer_expects() const { return peer_expects_; }
  const std::optional<MessageHeader>& peer_announces() const { return peer_announces_; }

  // Large messages need a receive of their size; whether one can be posted now, and how many at most.
  virtual bool can_grant() const = 0;
  virtual uint32_t most_grants() const { return 1; }
  // Posts it for message `message` of the stream. The payload goes straight to `target`, if the rail
  // can do that.
  virtual void grant(uint32_t message, size_t payload_bytes, std::byte* target) = 0;
  // Large messages that are granted and have not come.
  virtual uint32_t awaited() const { return 0; }
  // The large message that comes next on this rail, in either direction, by what its receiver has
  // granted; kNone if nothing is.
  virtual uint32_t next_to_come() const { return kNone; }
  virtual uint32_t next_to_go() const { return kNone; }
  // Tells the peer of grants it may be waiting for. `expected` describes the stream they are for.
  // Returns whether it knows of all.
  virtual bool tell_grants(const MessageHeader& expected) = 0;
  // The next message, if it is here. It stays where it is until pop(), or until the engine polls.
  virtual Arrival front(bool large) const = 0;
  virtual void pop(bool large) = 0;
  // The payload of the next small message where it is all of this stream and of this operation; null:
  // nothing has come, or something else, as front() says.
  virtual const std::byte* brief(uint32_t stream, const OperationTag& tag) const {
    Arrival arrival = front(false);
    MessageHeader expected = header_of(stream, tag);
    bool is = arrival && arrival.header && arrival.header->kind == expected.kind &&
              arrival.header->payload_bytes == expected.payload_bytes &&
              arrival.header->stream == stream && arrival.header->tag == tag;
    return is ? arrival.payload : nullptr;
  }

  // Whether the device says that its end of the cable is dead: what is waited for will not come. A
  // system call, perhaps.
  virtual bool broken() const { return false; }

  // Whether something that was sent may still be here, and a try to learn when it has left.
  virtual bool sends_pending() const = 0;
  virtual void flush_sends() = 0;

 protected:
  static MessageHeader header_of(uint32_t stream, const OperationTag& tag) {
    MessageHeader header = MessageHeader::of(stream, tag);
    header.payload_bytes = static_cast<uint32_t>(tag.bytes);
    return header;
  }

  Place place_;
  Cut cut_;
  std::optional<MessageHeader> peer_expects_, peer_announces_;
  uint32_t oldest_in_place_ = kNone;
};

}  // namespace railyard
