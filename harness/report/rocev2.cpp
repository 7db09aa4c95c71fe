#include "report/rocev2.h"

#include <map>

namespace railyard::harness {

namespace {

constexpr size_t kEthernetBytes = 14, kIpBytes = 20, kUdpBytes = 8, kInvariantCrcBytes = 4;
constexpr uint16_t kRocePort = 4791;

// Network byte order.
class Bytes {
 public:
  Bytes& u8(uint32_t value) { return text_ += static_cast<char>(value), *this; }
  Bytes& u16(uint32_t value) { return u8(value >> 8 & 0xff).u8(value & 0xff); }
  Bytes& u24(uint32_t value) { return u8(value >> 16 & 0xff).u16(value & 0xffff); }
  Bytes& u32(uint32_t value) { return u16(value >> 16).u16(value & 0xffff); }
  Bytes& zeros(size_t count) { return text_.append(count, '\0'), *this; }
  std::string& text() { return text_; }

 private:
  std::string text_;
};

// Table 35: the low five bits of the opcode.
uint32_t base_opcode(const std::string& operation, RocePlace place) {
  auto choose = [&](uint32_t first, uint32_t middle, uint32_t last, uint32_t only) {
    switch (place) {
      case RocePlace::first:
        return first;
      case RocePlace::middle:
        return middle;
      case RocePlace::last:
        return last;
      case RocePlace::only:
        return only;
    }
    return only;
  };
  if (operation == "SEND_WITH_IMM") return choose(0, 1, 3, 5);
  if (operation == "SEND_WITH_INV") return choose(0, 1, 22, 23);
  if (operation == "RDMA_WRITE") return choose(6, 7, 8, 10);
  if (operation == "RDMA_WRITE_WITH_IMM") return choose(6, 7, 9, 11);
  if (operation == "RDMA_READ") return 12;
  if (operation == "ACK") return 17;
  if (operation == "ATOMIC_CMP_AND_SWP") return 19;
  if (operation == "ATOMIC_FETCH_AND_ADD") return 20;
  return choose(0, 1, 2, 4);
}

bool begins(const RocePacket& packet) {
  return packet.place == RocePlace::first || packet.place == RocePlace::only;
}
bool ends(const RocePacket& packet) {
  return packet.place == RocePlace::last || packet.place == RocePlace::only;
}

// What follows the base transport header. Keys, addresses and immediate data are not recorded.
std::string extensions_of(const RocePacket& packet) {
  Bytes out;
  const std::string& operation = packet.operation;
  if (operation == "ACK") return out.u8(packet.syndrome.value_or(0)).u24(0).text();
  if (packet.transport == RoceTransport::ud) out.u32(0).u8(0).u24(packet.source_pair);
  if (packet.transport == RoceTransport::xrc) out.u32(0);
  if (operation.rfind("ATOMIC", 0) == 0) return out.zeros(28).text();
  bool addressed = operation == "RDMA_READ" || operation.rfind("RDMA_WRITE", 0) == 0;
  if (addressed && begins(packet)) out.zeros(12).u32(packet.message_bytes);
  bool tail = operation.find("_WITH_") != std::string::npos;
  if (tail && ends(packet)) out.u32(0);
  return out.text();
}

uint32_t padding(const RocePacket& packet) { return (4 - packet.payload_bytes % 4) % 4; }

uint32_t checksum(const std::string& header) {
  uint32_t sum = 0;
  for (size_t i = 0; i < header.size(); i += 2) {
    sum += static_cast<uint32_t>(static_cast<uint8_t>(header[i])) << 8 |
           static_cast<uint8_t>(header[i + 1]);
  }
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

uint32_t ip_of(const RoceAddress& address) {
  return 10u << 24 | (address.rank & 0xffff) << 8 | ((address.rail + 1) & 0xff);
}

uint32_t length_of(const RocePacket& packet) {
  constexpr size_t kBaseTransport = 12;
  size_t payload = is_request_only(packet.operation) ? 0 : packet.payload_bytes + padding(packet);
  return static_cast<uint32_t>(kEthernetBytes + kIpBytes + kUdpBytes + kBaseTransport +
                               extensions_of(packet).size() + payload + kInvariantCrcBytes);
}

std::string ip_header(const RocePacket& packet, uint32_t bytes) {
  auto build = [&](uint32_t sum) {
    Bytes out;
    out.u8(0x45).u8(0x02).u16(bytes).u16(0).u16(0x4000).u8(64).u8(17).u16(sum);
    out.u32(ip_of(packet.source)).u32(ip_of(packet.target));
    return out.text();
  };
  return build(checksum(build(0)));
}

}  // namespace

RoceTransport roce_transport(const std::string& type) {
  if (type == "UC") return RoceTransport::uc;
  if (type == "UD") return RoceTransport::ud;
  if (type.rfind("XRC", 0) == 0) return RoceTransport::xrc;
  return RoceTransport::rc;
}

std::optional<uint8_t> roce_syndrome(const std::string& status) {
  // Tables 45 and 46: ACK with unlimited credits, RNR NAK, and the NAK codes.
  static const std::map<std::string, uint8_t> known = {{"IBV_WC_SUCCESS", 0x1f},
                                                       {"IBV_WC_RNR_RETRY_EXC_ERR", 0x20},
                                                       {"IBV_WC_REM_INV_REQ_ERR", 0x61},
                                                       {"IBV_WC_REM_ACCESS_ERR", 0x62},
                                                       {"IBV_WC_REM_OP_ERR", 0x63}};
  auto found = known.find(status);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

bool is_request_only(const std::string& operation) {
  return operation == "RDMA_READ" || operation.rfind("ATOMIC", 0) == 0;
}

std::string bytes_of(const RocePacket& packet) {
  uint32_t whole = length_of(packet);
  Bytes out;
  out.u16(0x0200).u32(ip_of(packet.target)).u16(0x0200).u32(ip_of(packet.source)).u16(0x0800);
  out.text() += ip_header(packet, whole - static_cast<uint32_t>(kEthernetBytes));
  out.u16(49152 + (packet.source_pair & 0x3fff)).u16(kRocePort);
  out.u16(whole - static_cast<uint32_t>(kEthernetBytes + kIpBytes)).u16(0);
  out.u8(static_cast<uint32_t>(packet.transport) | base_opcode(packet.operation, packet.place));
  uint32_t pad = is_request_only(packet.operation) ? 0 : padding(packet);
  out.u8(0x40 | pad << 4).u16(0xffff);  // migrated; the default partition
  out.u8(0).u24(packet.target_pair);
  bool asks = packet.transport != RoceTransport::uc && packet.transport != RoceTransport::ud;
  out.u8(asks && ends(packet) && packet.operation != "ACK" ? 0x80 : 0).u24(packet.psn);
  out.text() += extensions_of(packet);
  out.text().resize(whole, '\0');
  return out.text();
}

}  // namespace railyard::harness
