// One rdma_cm_id as the kernel would hold it.
#pragma once

#include <cstdint>
#include <optional>

#include "cm/message.h"
#include "fabric/layout.h"

namespace railyard::cm {

enum class Stage {
  idle,
  bound,
  address_known,
  route_known,
  listening,
  arriving,    // somebody connected, the request is not here yet
  seeking,     // active: nobody has taken the call yet
  requesting,  // active: the request is sent
  requested,   // passive: the request is here, and the program decides
  replying,    // passive: accepted, not confirmed
  replied,     // active: accepted, not confirmed
  connected,
  over,
};

// The number of the first packet that a queue pair sends.
uint32_t random_psn();

struct Identifier {
  uint32_t number = 0;
  uint64_t uid = 0;  // the program's name for it; 0 until it has accepted it
  uint16_t port_space = 0;
  uint8_t type = 0;  // enum ibv_qp_type
  int channel = -1;
  int socket = -1;                 // holds the port, listens, or is the connection
  int sign = -1;                   // tells on which node a bound address is
  int timer = -1;                  // while seeking
  int attempts = 0;                // to reach the listener
  std::optional<Message> request;  // while seeking
  Stage stage = Stage::idle;
  uint32_t events_reported = 0;
  uint32_t listener = 0;  // of an arrival

  Address source, destination;
  int32_t port = fabric::layout::kNowhere;  // the device's, by its index in the fabric

  // From the beginning: librdmacm moves a queue pair to RTS before it accepts.
  uint32_t first_psn = random_psn();
  uint8_t responder_resources = 0, initiator_depth = 0;
  uint8_t retry_count = 7, rnr_retry_count = 7;
  int32_t peer_port = fabric::layout::kNowhere;
  uint32_t peer_queue_pair = 0, peer_first_psn = 0;

  bool datagram() const { return type == IBV_QPT_UD; }
  // What its channel listens to, or -1.
  int watched() const { return timer >= 0 ? timer : stage >= Stage::listening ? socket : -1; }
};

// A multicast group that an identifier has joined.
struct Membership {
  uint32_t identifier;
  uint64_t uid;
  uint32_t events_reported = 0;
};

}  // namespace railyard::cm
