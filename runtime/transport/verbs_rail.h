// A rail over RDMA: one cable to one peer, with a pair of queue pairs, one for small messages and
// one for large ones, and the accounts that keep every message from being sent before its receive
// is posted.
//
// Small messages are one frame each. Their receives are posted once at the start and again, a few
// at a time, when messages have been read; the sender holds a credit for each. Large messages are
// payload alone, of exactly the size that both sides compute from the call, sent from and received
// into the caller's memory where it is lent to the device, else through the slab. Their receives
// are posted when the receiver knows what comes next; the sender gets a grant for each, in a
// control message that says for which stream. Credits travel in the header of every small message,
// or in a control message when there is no other to send. The last few credits are kept for control
// messages, so that two ranks that both send can always tell each other that there is room again.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "transport/rail.h"
#include "transport/rail_address.h"
#include "transport/ring_queue.h"
#include "verbs/lent_memory.h"
#include "verbs/queue_pair.h"
#include "verbs/slab.h"

namespace railyard {

enum class Slot : uint64_t { small_send, small_receive, large_send, large_receive };

class VerbsRail final : public Rail {
 public:
  // `memory` is this rail's part of the slab, plan.bytes() long. Throws Error.
  VerbsRail(Place position, std::shared_ptr<Device> device, CompletionQueue& small_queue,
            CompletionQueue& large_queue, Transport transport, const SlotPlan& plan,
            std::byte* memory, uint32_t key, const LentMemory& lent);

  const std::string& device() const override { return device_->name(); }
  RailAddress address() const;

  // Connects and posts the receives for small messages. Nothing may be sent before all ranks are
  // here.
  void connect(const RailAddress& peer, const Cut& cut);

  // False when there is no credit, grant or slot now.
  bool send(const MessageHeader& header, const std::byte* payload, bool large) override;
  bool send_brief(uint32_t stream, const OperationTag& tag, const std::byte* payload) override;
  bool announce(const MessageHeader& header) override;

  bool can_grant() const override { return large_posted_ - large_read_ < large_slots_; }
  uint32_t most_grants() const override { return large_slots_; }
  void grant(uint32_t message, size_t payload_bytes, std::byte* target) override;
  uint32_t awaited() const override { return large_posted_ - large_arrived_; }
  uint32_t next_to_come() const override {
    return large_receives_.empty() ? kNone : large_receives_.front().message;
  }
  uint32_t next_to_go() const override {
    return large_grants_.empty() ? kNone : large_grants_.front();
  }
  Arrival front(bool large) const override;
  void pop(bool large) override;
  const std::byte* brief(uint32_t stream, const OperationTag& tag) const override;
  bool tell_grants(const MessageHeader& expected) override;

  // What a request's id says: whose it is, what kind, and how many sends its completion vouches
  // for.
  static int rail_of(uint64_t id) { return static_cast<int>(id >> 2 & 0x3fffffff); }
  static Slot slot_of(uint64_t id) { return static_cast<Slot>(id & 3); }
  // Whether large messages are on the way, in either direction.
  bool large_pending() const { return !large_sends_.empty() || large_arrived_ != large_posted_; }
  // A request has completed; the requests of one kind do so in order.
  void complete(uint64_t id);
  bool broken() const override;
  bool sends_pending() const override { return small_sends_ > 0 || !large_sends_.empty(); }
  void flush_sends() override;

 private:
  static constexpr uint32_t kControlCredits = 2;
  // A contact that comes back by then was bad; otherwise somebody has pulled the cable.
  static constexpr std::chrono::milliseconds kShortBreak{200};
  // Of small messages, where the device takes so much: every adapter of mlx5 does.
  static constexpr uint32_t kInlineBytes = 320;

  // Between messages that one control message grants.
  static constexpr uint32_t kFarthestStep = 255;

  struct LargeSend {
    uint32_t message = 0;
    bool in_place = false;
  };
  struct LargeReceive {
    uint32_t message = 0;
    std::byte* target = nullptr;
  };

  uint64_t id(Slot slot, uint32_t sends = 1) const {
    return static_cast<uint64_t>(sends) << 32 | static_cast<uint64_t>(place_.id) << 2 |
           static_cast<uint64_t>(slot);
  }
  std::byte* small_send_slot(uint32_t i) const {
    return small_sends_at_ + (i % small_slots_) * small_stride_;
  }
  std::byte* small_receive_slot(uint32_t i) const { return small_receives_at_ + i * small_stride_; }
  std::byte* large_send_slot(uint32_t i) const {
    return large_sends_at_ + (i % large_slots_) * large_bytes_;
  }
  std::byte* large_receive_slot(uint32_t i) const {
    return large_receives_at_ + (i % large_slots_) * large_bytes_;
  }

  void post_small_receives();
  void release_small(uint32_t slot);
  void give_back_small();
  void tell_credits();
  uint32_t untold_credits() const { return small_released_ - credits_told_; }
  bool send_control(const MessageHeader& header, bool signaled = false);
  bool may_send_small() const { return credits_ > kControlCredits && small_sends_ != small_slots_; }
  void send_small(const MessageHeader& header, const std::byte* payload, bool signaled = false);
  // Where to write the next small message, of so many bytes; and there it goes.
  std::byte* next_small(size_t bytes);
  void post_small(const std::byte* slot, size_t bytes, bool signaled);
  bool send_large(const MessageHeader& header, const std::byte* payload);
  void complete_small_receive();
  void take_grants(const MessageHeader& news);
  void find_oldest_in_place();
  void read_credits(uint32_t credits);

  std::shared_ptr<Device> device_;
  Transport transport_;
  uint32_t key_;
  const LentMemory& lent_;
  uint32_t small_slots_, large_slots_;
  size_t small_stride_;
  size_t large_bytes_;
  std::byte *small_receives_at_, *small_sends_at_, *large_receives_at_, *large_sends_at_;
  std::optional<QueuePair> small_, large_;

  // Sending: totals. A send slot is free again when its completion has come; they come in order.
  uint32_t credits_ = 0;  // small messages that may be sent now
  uint32_t credits_seen_ = 0;
  uint32_t small_sent_ = 0, small_sends_ = 0;  // posted; posted and not known to be complete
  uint32_t small_unsignaled_ = 0;              // since the last one with a completion
  alignas(64) std::array<std::byte, kInlineBytes> inline_message_;
  uint32_t large_granted_ = 0, large_sent_ = 0;
  RingQueue<uint32_t> large_grants_{MessageHeader::kMostNews};  // messages that are to go next
  RingQueue<LargeSend> large_sends_;                            // posted and not complete

  // Receiving: slots that are free, in the order of their receives, and of the messages in them.
  RingQueue<uint32_t> small_free_, small_posted_, small_arrived_;
  uint32_t small_released_ = 0, credits_told_ = 0;
  RingQueue<LargeReceive> large_receives_;  // granted and not read
  uint32_t large_posted_ = 0, large_arrived_ = 0, large_read_ = 0, grants_told_ = 0;
};

}  // namespace railyard
