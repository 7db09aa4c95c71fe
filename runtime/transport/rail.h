// One way to one peer, for whole messages in order. Over RDMA it is a cable (verbs_rail.h), else a
// TCP connection (tcp_rail.h).
#pragma once

#include <optional>
#include <string>

#include "transport/message.h"
#include "verbs/verb_error.h"

namespace railyard {

class Rail {
 public:
  struct Place {
    int id = 0;  // among the rails of this process's group
    int peer = 0;
    int index = 0;  // among the rails to this peer
  };

  explicit Rail(Place place) : place_(place) {}
  virtual ~Rail() = default;
  Rail(const Rail&) = delete;
  Rail& operator=(const Rail&) = delete;

  int peer() const { return place_.peer; }
  int index() const { return place_.index; }
  virtual const std::string& device() const = 0;
  VerbPlace place() const { return {device(), place_.peer, place_.index}; }
  const Cut& cut() const { return cut_; }

  // Takes the message, or returns false when there is no room for it now.
  virtual bool send(MessageHeader header, const std::byte* payload, bool large) = 0;
  // What the peer last said to receive, when it said so in a control message.
  virtual const std::optional<MessageHeader>& peer_expects() const = 0;

  // Large messages need a receive of their size; whether one can be posted now.
  virtual bool can_grant() const = 0;
  virtual void grant(size_t message_bytes) = 0;
  // Tells the peer of grants it may be waiting for. `expected` describes the stream they are for.
  virtual void tell_grants(const MessageHeader& expected) = 0;
  // The next message, its payload behind it; null when it is not here yet. It stays where it is
  // until pop(), or until the engine polls.
  virtual const MessageHeader* front(bool large) const = 0;
  virtual void pop(bool large) = 0;

  virtual bool sends_pending() const = 0;

 protected:
  Place place_;
  Cut cut_;
};

}  // namespace railyard
