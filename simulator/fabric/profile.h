// What a kind of device offers, limits and refuses: the rules of a profile as the segment holds
// them. Their meaning and sources are in profiles/*.json; plain data, so that it can lie in shared
// memory.
#pragma once

#include <cstdint>

namespace railyard::fabric {

// What becomes of a message that meets no receive. (Reliable connections always answer RNR.)
enum class NoReceive : uint8_t {
  hold,  // the sender's controller keeps it until the receiver has posted one
  drop,  // it is gone and nobody is told
  fail,  // the receiving queue pair goes to error
};

// What becomes of a call that asks for more than a limit allows.
enum class AtLimit : uint8_t {
  refuse,
  block,    // the call does not return before there is room
  corrupt,  // it succeeds, and data goes astray later
};

// What becomes of a receive that a full queue has no room for.
enum class OverPost : uint8_t {
  refuse,
  corrupt,  // taken, and the message that it meets is damaged
  swallow,  // taken, and never filled
};

// What becomes of a move to RTR towards an address that this port's cable does not lead to.
enum class WrongCable : uint8_t { silence, refuse };

struct Limit {
  int32_t most = 0;          // 0: none
  int32_t error_number = 0;  // of the refusal
};

// Bits of Profile::transports.
inline constexpr uint32_t kReliable = 1, kUnreliable = 2, kDatagram = 4, kExtendedReliable = 8;

struct Profile {
  char name[32];
  char device_prefix[16];  // devices are called prefix + number
  int32_t device_first;    // the first number
  char firmware[32];
  uint32_t vendor_id, vendor_part_id, hardware_version;
  uint8_t link_layer;   // IBV_LINK_LAYER_*, or 100 for Thunderbolt
  uint8_t mtu;          // enum ibv_mtu
  bool point_to_point;  // cables join two ports; no switches
  bool ipv4_gid;        // GID index 1 is the IPv4-mapped address

  uint32_t transports;
  int32_t transport_error;  // errno of a transport that is not offered
  bool one_sided;           // RDMA WRITE and READ
  bool atomics;
  bool windows;                 // memory windows, send with invalidate
  bool multicast;               // of datagrams
  int32_t max_shared_receives;  // requests in a shared receive queue; 0: there are none
  int32_t operation_error;      // what post_send returns for an operation that is not offered

  Limit contexts, protection_domains, completion_queues, queue_pairs, memory_regions;
  int32_t advertised_queue_pairs;  // what a query says; 0: the limit
  AtLimit at_context_limit;

  int32_t max_requests;       // depth of a queue, in `depth_unit_bytes`
  int32_t min_granted;        // a queue never has less
  uint32_t depth_unit_bytes;  // 0: a request is one unit; else a unit per so many bytes
  OverPost over_post;
  int32_t over_post_error;  // errno of a post to a full queue
  int32_t max_sge;
  int32_t max_inline;
  int32_t min_inline;       // granted unasked
  int32_t max_completions;  // entries of a completion queue
  uint64_t max_message_bytes;
  uint32_t multi_frame_in_flight;  // messages longer than a unit; one more stalls its queue pair.
                                   // 0: no limit
  uint64_t max_region_bytes;
  AtLimit at_region_limit;
  int32_t region_bytes_error;
  uint64_t advertised_region_bytes;  // what a query says; 0: the limit
  int32_t max_rd_atomic;

  bool region_page_aligned;
  int32_t region_access;  // the access flags a region may have, as a mask
  int32_t region_error;
  bool region_local_write_alone;  // a region may be for local writes only

  NoReceive unreliable_no_receive;
  bool arming_tells_unread;  // a queue armed while it holds what no event told of tells at once
  bool checks_integrity;     // a message damaged on its way is as good as lost
  uint32_t frame_bytes;      // 0: a message may meet any receive that is long enough
  bool receive_needs_rts;    // ibv_post_recv before RTS is refused
  int32_t receive_state_error;
  WrongCable wrong_cable;
  int32_t wrong_cable_error;
  bool port_down_no_pd;            // ibv_alloc_pd returns NULL while the port is down
  bool unplugged_receive_crashes;  // ibv_post_recv while the port is down
  bool killed_owner_leaks;         // a killed process keeps its device until the cluster ends

  // What a cable of such devices was measured to do.
  double link_latency_ns, link_bandwidth_bytes_per_s, link_loss;
};

}  // namespace railyard::fabric
