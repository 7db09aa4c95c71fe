// What connection managers say to each other, one packet each, over the socket of a connection.
#pragma once

#include <rdma/rdma_user_cm.h>

#include <cstdint>

#include "cm/address.h"

namespace railyard::cm {

// After the messages of the InfiniBand specification, 12.6: REQ or SIDR_REQ, REP or SIDR_REP, RTU,
// REJ. The end of the socket is DREQ, and what a death looks like.
enum class MessageKind : uint32_t { request, reply, ready, refusal };

struct Message {
  MessageKind kind;
  uint32_t reason;  // of a refusal
  uint32_t queue_pair, queue_key;
  uint32_t first_psn;
  int32_t port;  // the sender's, by its index in the fabric
  Address source, destination;
  uint8_t responder_resources, initiator_depth;
  uint8_t retry_count, rnr_retry_count, flow_control, shared_receive;
  uint8_t private_bytes;
  uint8_t private_data[RDMA_MAX_PRIVATE_DATA];
};

// How much private data each message has room for: the receiver is always shown that much.
inline constexpr uint8_t kRequestPrivate = 56, kReplyPrivate = 196, kReadyPrivate = 224,
                         kRefusalPrivate = 148;
inline constexpr uint8_t kDatagramRequestPrivate = 180, kDatagramReplyPrivate = 136;

// Reasons of refusals: specification, 12.6.7.
inline constexpr uint32_t kInvalidServiceId = 8, kConsumerDefined = 28;
// Status of a datagram service's refusal: specification, 13.5.8.
inline constexpr uint32_t kServiceNotSupported = 1, kServiceRejected = 2;

inline constexpr uint32_t kDatagramQueueKey = 0x01234567;  // RDMA_UDP_QKEY
inline constexpr uint32_t kMulticastQueuePair = 0xffffff;

}  // namespace railyard::cm
