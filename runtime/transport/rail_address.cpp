#include "transport/rail_address.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

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

SlotPlan SlotPlan::for_rails(int rails, size_t peers, size_t max_message_bytes, bool thunderbolt) {
  auto count = static_cast<size_t>(std::max(rails, 1));
  SlotPlan plan;
  if (thunderbolt) plan.small_stride = kSmallBytes;
  size_t small = (size_t{2} << 20) / count / (2 * kSmallBytes);
  plan.small_slots = static_cast<uint32_t>(std::clamp<size_t>(std::bit_floor(small), 8, 32));
  // Where many peers send at once, a few long messages of each are faster than many short ones.
  plan.large_slots = peers > 2 ? 2 : 4;
  size_t large = (size_t{6} << 20) / count / (2 * plan.large_slots);
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

}  // namespace railyard
