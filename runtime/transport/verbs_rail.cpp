#include "transport/verbs_rail.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "bootstrap/wire.h"

namespace railyard {

namespace {

void pack(WireWriter& writer, const QueuePairAddress& address) {
  writer
      .put(
          std::string_view(reinterpret_cast<const char*>(address.gid.raw), sizeof(address.gid.raw)))
      .put(address.lid)
      .put(address.number)
      .put(address.first_packet)
      .put(address.mtu);
}

QueuePairAddress unpack_pair(WireReader& reader) {
  QueuePairAddress address;
  std::string gid = reader.text();
  if (gid.size() != sizeof(address.gid.raw)) throw std::out_of_range("a GID has 16 bytes");
  std::memcpy(address.gid.raw, gid.data(), gid.size());
  address.lid = reader.get<uint16_t>();
  address.number = reader.get<uint32_t>();
  address.first_packet = reader.get<uint32_t>();
  address.mtu = reader.get<ibv_mtu>();
  return address;
}

}  // namespace

SlotPlan SlotPlan::for_rails(int rails, size_t max_message_bytes) {
  auto count = static_cast<size_t>(std::max(rails, 1));
  SlotPlan plan;
  size_t small = (size_t{2} << 20) / count / (2 * kSmallBytes);
  plan.small_slots = static_cast<uint32_t>(std::clamp<size_t>(std::bit_floor(small), 8, 32));
  plan.large_slots = count > 16 ? 2 : 4;
  size_t large = (size_t{3} << 20) / count / (2 * plan.large_slots);
  plan.large_bytes = std::clamp<size_t>(std::bit_floor(large), 16 << 10, 256 << 10);
  if (max_message_bytes < plan.large_bytes) {
    plan.large_bytes = std::bit_floor(std::max<size_t>(max_message_bytes, 1));
  }
  // Below this a large message carries less than a run of small ones.
  if (plan.large_bytes <= kSmallBytes) plan.large_bytes = plan.large_slots = 0;
  return plan;
}

std::string RailAddress::pack() const {
  WireWriter writer;
  writer.put(device).put(transport);
  railyard::pack(writer, small);
  railyard::pack(writer, large);
  return writer.put(small_slots).put(large_bytes).take();
}

RailAddress RailAddress::unpack(const std::string& bytes) {
  WireReader reader(bytes);
  RailAddress address;
  address.device = reader.text();
  address.transport = reader.get<Transport>();
  address.small = unpack_pair(reader);
  address.large = unpack_pair(reader);
  address.small_slots = reader.get<uint32_t>();
  address.large_bytes = reader.get<uint64_t>();
  return address;
}

VerbsRail::VerbsRail(Place position, std::shared_ptr<Device> device, CompletionQueue& queue,
                     Transport transport, const SlotPlan& plan, std::byte* memory, uint32_t key)
    : Rail(position),
      device_(std::move(device)),
      transport_(transport),
      key_(key),
      small_slots_(plan.small_slots),
      large_slots_(plan.large_slots),
      large_bytes_(plan.large_bytes),
      small_receives_at_(memory),
      small_sends_at_(small_receives_at_ + small_slots_ * kSmallBytes),
      large_receives_at_(small_sends_at_ + small_slots_ * kSmallBytes),
      large_sends_at_(large_receives_at_ + large_slots_ * large_bytes_) {
  VerbPlace where = place();
  auto ask = [&](uint32_t depth) {
    depth = std::min(depth, device_->max_depth());
    return QueueDepth{depth, depth};
  };
  small_.emplace(device_, queue, transport, ask(small_slots_), where);
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
  large_.emplace(device_, queue, transport, ask(large_slots_ * unit), where);
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
  for (uint32_t slot = 0; slot < small_slots_; ++slot) post_small_receive(slot);
  credits_ = peer.small_slots;
}

void VerbsRail::post_small_receive(uint32_t slot) {
  small_->post_receive(id(Slot::small_receive), small_receive_slot(slot), kSmallBytes, key_);
  small_posted_.push_back(slot);
}

bool VerbsRail::send(MessageHeader header, const std::byte* payload, bool large) {
  if (large) {
    if (large_granted_ == large_sent_ || large_sends_ == large_slots_) return false;
  } else {
    if (credits_ <= kControlCredits || small_sends_ == small_slots_) return false;
  }
  post(header, payload, large);
  return true;
}

bool VerbsRail::send_control(const MessageHeader& header) {
  if (credits_ == 0 || small_sends_ == small_slots_) return false;
  post(header, nullptr, false);
  return true;
}

void VerbsRail::post(MessageHeader header, const std::byte* payload, bool large) {
  header.credits = small_released_;
  header.grants = large_posted_;
  std::byte* slot = large ? large_send_slot(large_sent_) : small_send_slot(small_sent_);
  std::memcpy(slot, &header, kHeaderBytes);
  if (header.payload_bytes > 0) std::memcpy(slot + kHeaderBytes, payload, header.payload_bytes);
  size_t bytes = kHeaderBytes + header.payload_bytes;
  if (large) {
    large_->post_send(id(Slot::large_send), slot, bytes, key_);
    ++large_sent_;
    ++large_sends_;
  } else {
    small_->post_send(id(Slot::small_send), slot, bytes, key_);
    --credits_;
    ++small_sent_;
    ++small_sends_;
  }
  credits_told_ = header.credits;
  grants_told_ = header.grants;
}

void VerbsRail::grant(size_t message_bytes) {
  large_->post_receive(id(Slot::large_receive), large_receive_slot(large_posted_), message_bytes,
                       key_);
  ++large_posted_;
}

void VerbsRail::tell_grants(const MessageHeader& expected) {
  uint32_t untold = large_posted_ - grants_told_;
  if (untold == 0) return;
  // The peer still has work: the next message to it will carry the news.
  uint32_t in_hand = grants_told_ - large_arrived_;
  if (in_hand > large_slots_ / 2) return;
  send_control(expected);
}

const MessageHeader* VerbsRail::front(bool large) const {
  if (large) {
    if (large_arrived_ == large_read_) return nullptr;
    return reinterpret_cast<const MessageHeader*>(large_receive_slot(large_read_));
  }
  if (small_arrived_.empty()) return nullptr;
  return reinterpret_cast<const MessageHeader*>(small_receive_slot(small_arrived_.front()));
}

void VerbsRail::pop(bool large) {
  if (large) {
    ++large_read_;
    return;
  }
  uint32_t slot = small_arrived_.front();
  small_arrived_.pop_front();
  release_small(slot);
}

void VerbsRail::release_small(uint32_t slot) {
  post_small_receive(slot);
  ++small_released_;
  tell_credits();
}

void VerbsRail::tell_credits() {
  if (small_released_ - credits_told_ >= small_slots_ / 2) send_control({});
}

void VerbsRail::complete(Slot slot) {
  switch (slot) {
    case Slot::small_send:
      --small_sends_;
      tell_credits();  // there may have been no slot for it
      return;
    case Slot::large_send:
      --large_sends_;
      return;
    case Slot::large_receive:
      read_header(*reinterpret_cast<const MessageHeader*>(large_receive_slot(large_arrived_)));
      ++large_arrived_;
      return;
    case Slot::small_receive:
      break;
  }
  uint32_t arrived = small_posted_.front();
  small_posted_.pop_front();
  const auto& header = *reinterpret_cast<const MessageHeader*>(small_receive_slot(arrived));
  read_header(header);
  if (header.kind == MessageKind::data) {
    small_arrived_.push_back(arrived);
    return;
  }
  if (header.tag.kind != OperationKind::none) peer_expects_ = header;
  release_small(arrived);
}

void VerbsRail::read_header(const MessageHeader& header) {
  // Large and small messages may overtake each other, and then the older totals say nothing new.
  auto newer = [](uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) > 0; };
  if (newer(header.credits, credits_seen_)) {
    credits_ += header.credits - credits_seen_;
    credits_seen_ = header.credits;
    tell_credits();  // there may have been no credit for it
  }
  if (newer(header.grants, large_granted_)) large_granted_ = header.grants;
}

}  // namespace railyard
