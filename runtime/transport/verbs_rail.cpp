#include "transport/verbs_rail.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace railyard {

VerbsRail::VerbsRail(Place position, std::shared_ptr<Device> device, CompletionQueue& small_queue,
                     CompletionQueue& large_queue, Transport transport, const SlotPlan& plan,
                     std::byte* memory, uint32_t key, const LentMemory& lent)
    : Rail(position),
      device_(std::move(device)),
      transport_(transport),
      key_(key),
      lent_(lent),
      small_slots_(plan.small_slots),
      large_slots_(plan.large_slots),
      small_stride_(plan.small_stride),
      large_bytes_(plan.large_bytes),
      small_receives_at_(memory),
      small_sends_at_(small_receives_at_ + plan.small_bytes()),
      large_receives_at_(small_sends_at_ + plan.small_bytes()),
      large_sends_at_(large_receives_at_ + large_slots_ * large_bytes_),
      large_sends_(std::max(large_slots_, 1u)),
      small_free_(small_slots_),
      small_posted_(small_slots_),
      small_arrived_(small_slots_),
      large_receives_(std::max(large_slots_, 1u)) {
  VerbPlace where = place();
  auto ask = [&](uint32_t depth) {
    depth = std::min(depth, device_->max_depth());
    return QueueDepth{depth, depth};
  };
  QueueDepth small = ask(small_slots_);
  // TN3205 names no inline data.
  if (!device_->is_thunderbolt()) small.inline_bytes = kInlineBytes;
  small_.emplace(device_, small_queue, transport, small, where);
  auto fit = [&](uint32_t slots, uint32_t unit, QueueDepth granted, uint32_t least) {
    uint32_t room = std::min(granted.send, granted.receive) / unit;
    // A power of two, so that slots go on in order when the totals wrap around.
    if (room >= least) return std::bit_floor(std::min(slots, room));
    ErrorFields fields = fields_of("ibv_create_qp", where);
    fields.limit = unit > 1 ? "queue depth in 4 KiB frames" : "queue depth";
    fields.asked = least * unit;
    fields.granted = std::min(granted.send, granted.receive);
    throw Error(ErrorCode::limit_reached,
                fmt::format("{}: {} to rank {}: {} needed, {} granted", where.device, fields.limit,
                            where.peer, fields.asked, fields.granted),
                fields);
  };
  small_slots_ = fit(small_slots_, 1, small_->granted(), kControlCredits + 2);
  if (large_slots_ == 0) return;
  uint32_t unit = device_->depth_of(large_bytes_);
  large_.emplace(device_, large_queue, transport, ask(large_slots_ * unit), where);
  large_slots_ = fit(large_slots_, unit, large_->granted(), 1);
}

RailAddress VerbsRail::address() const {
  RailAddress address;
  address.device = device_->name();
  address.transport = transport_;
  address.small = small_->address();
  if (large_) address.large = large_->address();
  address.small_slots = small_slots_;
  address.large_bytes = large_bytes_;
  return address;
}

void VerbsRail::connect(const RailAddress& peer, const Cut& cut) {
  if (peer.transport != transport_) {
    ErrorFields fields = fields_of("bootstrap", place());
    throw Error(ErrorCode::device,
                fmt::format("{} and rank {}'s {} have no transport in common: one has reliable "
                            "connections, the other has not",
                            device(), place_.peer, peer.device),
                fields);
  }
  cut_ = cut;
  small_->connect(peer.small);
  if (large_ && cut_.large_payload > 0) large_->connect(peer.large);
  // Not earlier: Thunderbolt devices take receives in state RTS only.
  for (uint32_t slot = 0; slot < small_slots_; ++slot) small_free_.push(slot);
  post_small_receives();
  credits_ = peer.small_slots;
}

void VerbsRail::post_small_receives() {
  while (!small_free_.empty()) {
    uint32_t slot = small_free_.pop();
    small_->add_receive(id(Slot::small_receive), small_receive_slot(slot), kSmallBytes, key_);
    small_posted_.push(slot);
  }
  small_->post_receives();
}

bool VerbsRail::send(const MessageHeader& header, const std::byte* payload, bool large) {
  if (large) return send_large(header, payload);
  if (!may_send_small()) return false;
  send_small(header, payload);
  // The message is on its way, and nothing to do before there is an answer.
  if (small_free_.size() >= small_slots_ / 4) give_back_small();
  return true;
}

bool VerbsRail::send_brief(uint32_t stream, const OperationTag& tag, const std::byte* payload) {
  if (!may_send_small()) return false;
  std::byte* slot = next_small(sizeof(BriefHeader) + tag.bytes);
  BriefHeader header = BriefHeader::of(stream, tag, small_released_);
  post_small(slot, write_brief(slot, header, payload), false);
  if (small_free_.size() >= small_slots_ / 4) give_back_small();
  return true;
}

bool VerbsRail::announce(const MessageHeader& header) {
  if (!may_send_small()) return false;
  MessageHeader announcement = header;
  announcement.kind = MessageKind::announcement;
  send_small(announcement, nullptr);
  return true;
}

bool VerbsRail::send_control(const MessageHeader& header, bool signaled) {
  if (credits_ == 0 || small_sends_ == small_slots_) return false;
  send_small(header, nullptr, signaled);
  return true;
}

void VerbsRail::send_small(const MessageHeader& header, const std::byte* payload, bool signaled) {
  std::byte* slot = next_small(kHeaderBytes + header.payload_bytes);
  MessageHeader sent = header;
  sent.credits = small_released_;
  post_small(slot, write_message(slot, sent, payload), signaled);
}

// What goes inline is the program's again at once: it is written where the last one was, in lines
// that are at hand.
std::byte* VerbsRail::next_small(size_t bytes) {
  size_t most = std::min<size_t>(small_->granted().inline_bytes, inline_message_.size());
  return bytes <= most ? inline_message_.data() : small_send_slot(small_sent_);
}

// The credit for a message comes back when it has been read, but the queue pair forgets it only
// when a completion says so: one in so many is enough.
void VerbsRail::post_small(const std::byte* slot, size_t bytes, bool signaled) {
  credits_told_ = small_released_;
  ++small_unsignaled_;
  signaled = signaled || small_unsignaled_ >= small_slots_ / 2;
  small_->post_send(id(Slot::small_send, small_unsignaled_), slot, bytes, key_, signaled);
  if (signaled) small_unsignaled_ = 0;
  --credits_;
  ++small_sent_;
  ++small_sends_;
}

// Grants are for the stream that the peer has named with them.
bool VerbsRail::send_large(const MessageHeader& header, const std::byte* payload) {
  if (large_grants_.empty() || large_sends_.size() == large_slots_) return false;
  if (!peer_expects_ || peer_expects_->stream != header.stream) return false;
  size_t bytes = header.payload_bytes;
  // What several rails bring, one processor can take no faster than it comes. So the sender's,
  // which has nothing else to do, copies it to where the device has long known it.
  std::optional<uint32_t> lent_key;
  if (cut_.rails == 1) lent_key = lent_.key(payload, bytes);
  if (!lent_key) {
    std::byte* slot = large_send_slot(large_sent_);
    std::memcpy(slot, payload, bytes);
    payload = slot;
  }
  large_->post_send(id(Slot::large_send), payload, bytes, lent_key.value_or(key_), true);
  large_sends_.push({header.message, lent_key.has_value()});
  find_oldest_in_place();
  large_grants_.pop();
  ++large_sent_;
  return true;
}

void VerbsRail::find_oldest_in_place() {
  oldest_in_place_ = kNone;
  for (uint32_t i = 0; i < large_sends_.size() && oldest_in_place_ == kNone; ++i) {
    if (large_sends_[i].in_place) oldest_in_place_ = large_sends_[i].message;
  }
}

bool VerbsRail::broken() const {
  auto since = device_->down_since();
  // Reliable connections send again, and Thunderbolt controllers keep what they could not send:
  // both may survive a short break. But who only receives never hears of a long one.
  auto most = transport_ == Transport::reliable ? QueuePair::kRetriesLast : kShortBreak;
  return since && Device::Clock::now() - *since > most;
}

void VerbsRail::flush_sends() {
  if (small_unsignaled_ > 0) send_control({}, true);
}

void VerbsRail::grant(uint32_t message, size_t payload_bytes, std::byte* target) {
  std::optional<uint32_t> lent_key;
  if (target) lent_key = lent_.key(target, payload_bytes);
  if (!lent_key) target = large_receive_slot(large_posted_);
  large_->add_receive(id(Slot::large_receive), target, payload_bytes, lent_key.value_or(key_));
  large_->post_receives();
  large_receives_.push({message, target});
  ++large_posted_;
}

bool VerbsRail::tell_grants(const MessageHeader& expected) {
  uint32_t untold = large_posted_ - grants_told_;
  if (untold == 0) return true;
  // The peer still has work.
  uint32_t in_hand = grants_told_ - large_arrived_;
  if (in_hand > large_slots_ / 2) return false;
  MessageHeader news = expected;
  uint32_t told = 0;
  for (uint32_t previous = 0; told < std::min<uint32_t>(untold, MessageHeader::kMostNews); ++told) {
    uint32_t message = large_receives_[grants_told_ + told - large_read_].message;
    if (told == 0) {
      news.message = message;
    } else if (message - previous > kFarthestStep) {
      break;  // the next control message begins with it
    } else {
      news.steps[told] = static_cast<uint8_t>(message - previous);
    }
    previous = message;
  }
  news.grants = grants_told_ + told;
  if (!send_control(news)) return false;
  grants_told_ = news.grants;
  return told == untold;
}

void VerbsRail::take_grants(const MessageHeader& news) {
  uint32_t count = news.grants - large_granted_, message = news.message;
  for (uint32_t i = 0; i < std::min<uint32_t>(count, MessageHeader::kMostNews); ++i) {
    message += news.steps[i];
    large_grants_.push(message);
  }
  large_granted_ = news.grants;
}

Arrival VerbsRail::front(bool large) const {
  if (large) {
    if (large_arrived_ == large_read_) return {};
    return {nullptr, large_receives_.front().target};
  }
  if (small_arrived_.empty()) return {};
  std::byte* slot = small_receive_slot(small_arrived_.front());
  return {&read_message(slot), slot + kHeaderBytes};
}

const std::byte* VerbsRail::brief(uint32_t stream, const OperationTag& tag) const {
  if (small_arrived_.empty()) return nullptr;
  const std::byte* slot = small_receive_slot(small_arrived_.front());
  const auto& header = *reinterpret_cast<const BriefHeader*>(slot);
  if (header.is(stream, tag)) [[likely]]
    return slot + sizeof header;
  return Rail::brief(stream, tag);  // somebody may have unpacked it
}

void VerbsRail::pop(bool large) {
  if (!large) return release_small(small_arrived_.pop());
  large_receives_.pop();
  ++large_read_;
}

void VerbsRail::release_small(uint32_t slot) {
  small_free_.push(slot);
  // The peer must hear of them while it has credits left, with a message of this rank's or without.
  if (small_free_.size() + untold_credits() >= small_slots_ / 2) give_back_small();
}

// Several receives at once cost little more than one.
void VerbsRail::give_back_small() {
  small_released_ += small_free_.size();
  post_small_receives();
  tell_credits();
}

void VerbsRail::tell_credits() {
  if (untold_credits() >= small_slots_ / 2) send_control({});
}

void VerbsRail::complete(uint64_t request) {
  switch (slot_of(request)) {
    case Slot::small_send:
      small_sends_ -= static_cast<uint32_t>(request >> 32);
      tell_credits();  // there may have been no slot for it
      return;
    case Slot::large_send:
      large_sends_.pop();
      find_oldest_in_place();
      return;
    case Slot::large_receive:
      ++large_arrived_;
      return;
    case Slot::small_receive:
      return complete_small_receive();
  }
}

void VerbsRail::complete_small_receive() {
  uint32_t slot = small_posted_.pop();
  std::byte* place = small_receive_slot(slot);
  if (const auto& brief = *reinterpret_cast<const BriefHeader*>(place);
      brief.kind == MessageKind::brief) {
    read_credits(brief.credits);
    return small_arrived_.push(slot);
  }
  const auto& header = *reinterpret_cast<const MessageHeader*>(place);
  read_credits(header.credits);
  if (header.kind == MessageKind::data) return small_arrived_.push(slot);
  if (header.kind == MessageKind::announcement) {
    peer_announces_ = header;
  } else if (header.tag.kind != OperationKind::none) {
    peer_expects_ = header;
    take_grants(header);
  }
  release_small(slot);
}

void VerbsRail::read_credits(uint32_t credits) {
  uint32_t more = credits - credits_seen_;
  if (more == 0) return;
  credits_ += more;
  credits_seen_ = credits;
  tell_credits();  // there may have been no credit for it
}

}  // namespace railyard
