// A rail over RDMA: one cable to one peer, with a pair of queue pairs, one for small messages and
// one for large ones, and the accounts that keep every message from being sent before its receive
// is posted.
//
// Small messages are one frame each. Their receives are posted once at the start and again as soon
// as a message has been read; the sender holds a credit for each. Large messages have exactly the
// size that both sides compute from the call. Their receives are posted when the receiver knows
// what comes next; the sender gets a grant for each. Credits and grants travel in the header of
// every message, or in a control message when there is no other to send. The last few credits are
// kept for control messages, so that two ranks that both send can always tell each other that there
// is room again.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "transport/rail.h"
#include "verbs/queue_pair.h"
#include "verbs/slab.h"

namespace railyard {

// How many messages of which size a rail can have on the way.
struct SlotPlan {
  uint32_t small_slots = 0;
  uint32_t large_slots = 0;
  size_t large_bytes = 0;  // with the header; 0: no large messages

  size_t bytes() const { return 2 * (small_slots * kSmallBytes + large_slots * large_bytes); }
  // Fits a process's rails into a few MiB, whatever their number.
  static SlotPlan for_rails(int rails, size_t max_message_bytes);
};

// What a rail tells the other end before they connect.
struct RailAddress {
  std::string device;
  Transport transport = Transport::unreliable;
  QueuePairAddress small, large;
  uint32_t small_slots = 0;
  uint64_t large_bytes = 0;

  std::string pack() const;
  static RailAddress unpack(const std::string& bytes);
};

enum class Slot : uint64_t { small_send, small_receive, large_send, large_receive };

class VerbsRail final : public Rail {
 public:
  // `memory` is this rail's part of the slab, plan.bytes() long. Throws Error.
  VerbsRail(Place position, std::shared_ptr<Device> device, CompletionQueue& queue,
            Transport transport, const SlotPlan& plan, std::byte* memory, uint32_t key);

  const std::string& device() const override { return device_->name(); }
  RailAddress address() const;

  // Connects and posts the receives for small messages. Nothing may be sent before all ranks are
  // here.
  void connect(const RailAddress& peer, const Cut& cut);

  // Copies the payload and posts it; false when there is no credit, grant or slot now.
  bool send(MessageHeader header, const std::byte* payload, bool large) override;
  const std::optional<MessageHeader>& peer_expects() const override { return peer_expects_; }

  bool can_grant() const override { return large_posted_ - large_read_ < large_slots_; }
  void grant(size_t message_bytes) override;
  const MessageHeader* front(bool large) const override;
  void pop(bool large) override;
  void tell_grants(const MessageHeader& expected) override;

  // A request of this kind has completed; the requests of one kind do so in order.
  void complete(Slot slot);
  bool sends_pending() const override { return small_sends_ > 0 || large_sends_ > 0; }

 private:
  static constexpr uint32_t kControlCredits = 2;

  uint64_t id(Slot slot) const {
    return static_cast<uint64_t>(place_.id) << 2 | static_cast<uint64_t>(slot);
  }
  std::byte* small_send_slot(uint32_t i) const {
    return small_sends_at_ + (i % small_slots_) * kSmallBytes;
  }
  std::byte* small_receive_slot(uint32_t i) const { return small_receives_at_ + i * kSmallBytes; }
  std::byte* large_send_slot(uint32_t i) const {
    return large_sends_at_ + (i % large_slots_) * large_bytes_;
  }
  std::byte* large_receive_slot(uint32_t i) const {
    return large_receives_at_ + (i % large_slots_) * large_bytes_;
  }

  void post_small_receive(uint32_t slot);
  void release_small(uint32_t slot);
  void tell_credits();
  bool send_control(const MessageHeader& header);
  void post(MessageHeader header, const std::byte* payload, bool large);
  void read_header(const MessageHeader& header);

  std::shared_ptr<Device> device_;
  Transport transport_;
  uint32_t key_;
  uint32_t small_slots_, large_slots_;
  size_t large_bytes_;
  std::byte *small_receives_at_, *small_sends_at_, *large_receives_at_, *large_sends_at_;
  std::optional<QueuePair> small_, large_;

  std::optional<MessageHeader> peer_expects_;

  // Sending: totals. A send slot is free again when its completion has come; they come in order.
  uint32_t credits_ = 0;  // small messages that may be sent now
  uint32_t credits_seen_ = 0;
  uint32_t small_sent_ = 0, small_sends_ = 0;  // posted; posted and not complete
  uint32_t large_granted_ = 0, large_sent_ = 0, large_sends_ = 0;

  // Receiving: slots in the order of their receives, then of the messages in them.
  std::deque<uint32_t> small_posted_, small_arrived_;
  uint32_t small_released_ = 0, credits_told_ = 0;
  uint32_t large_posted_ = 0, large_arrived_ = 0, large_read_ = 0, grants_told_ = 0;
};

}  // namespace railyard
