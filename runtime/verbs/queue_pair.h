// A connected queue pair.
#pragma once

#include <infiniband/verbs.h>

#include <chrono>
#include <cstddef>
#include <memory>

#include "verbs/completion_queue.h"
#include "verbs/verb_error.h"

namespace railyard {

enum class Transport : uint8_t { reliable, unreliable };

// Where a queue pair's peer is.
struct QueuePairAddress {
  ibv_gid gid{};
  uint16_t lid = 0;
  uint32_t number = 0;
  uint32_t first_packet = 0;
  ibv_mtu mtu = IBV_MTU_1024;
};

// How much a queue pair takes at a time, in the device's unit (see Device::depth_of), and up to
// what length the device takes a message's bytes with the request, which spares it a fetch.
struct QueueDepth {
  uint32_t send = 0;
  uint32_t receive = 0;
  uint32_t inline_bytes = 0;
};

class QueuePair {
 public:
  // Created in state INIT. `place` names the peer in errors. What the device grants may
  // differ from what was asked for: see granted(). Throws Error (limit_reached with the limit when
  // the device has no queue pair left).
  QueuePair(std::shared_ptr<Device> device, CompletionQueue& queue, Transport transport,
            QueueDepth asked, VerbPlace place);
  ~QueuePair();
  QueuePair(const QueuePair&) = delete;
  QueuePair& operator=(const QueuePair&) = delete;

  // Thunderbolt has unreliable connections only; all others are tried with reliable ones first.
  static Transport choose_transport(const std::shared_ptr<Device>& device, CompletionQueue& queue);

  // A reliable connection has given up by then: 8 tries of 67 ms, see connect().
  static constexpr std::chrono::milliseconds kRetriesLast{1000};

  QueuePairAddress address() const;
  QueueDepth granted() const { return granted_; }

  // INIT to RTS. Throws Error (peer_unreachable when the address does not answer).
  void connect(const QueuePairAddress& peer);

  // One piece of registered memory each. Throw Error.
  void post_send(uint64_t id, const std::byte* data, size_t bytes, uint32_t key, bool signaled);
  // Receives are posted several at a time: here, or when there are too many to keep.
  void add_receive(uint64_t id, std::byte* data, size_t bytes, uint32_t key);
  void post_receives();

 private:
  void read_granted();
  void modify(ibv_qp_attr& attributes, int mask, const char* state);

  std::shared_ptr<Device> device_;
  Transport transport_;
  VerbPlace place_;
  ibv_qp* pair_ = nullptr;
  QueueDepth granted_;
  uint32_t first_packet_ = 0;

  static constexpr size_t kReceivesAtOnce = 8;
  ibv_recv_wr requests_[kReceivesAtOnce];
  ibv_sge pieces_[kReceivesAtOnce];
  size_t receives_ = 0;  // added and not posted
};

}  // namespace railyard
