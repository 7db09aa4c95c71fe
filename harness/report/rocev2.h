// RoCEv2 packets: InfiniBand's transport headers in UDP over IPv4 over Ethernet. InfiniBand
// Architecture Specification 1.2.1, chapter 9, and its annex A17.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace railyard::harness {

inline constexpr uint32_t kRoceMtu = 4096;

enum class RoceTransport : uint8_t { rc = 0x00, uc = 0x20, ud = 0x60, xrc = 0xa0 };
enum class RocePlace { only, first, middle, last };

// 10.<rank / 256>.<rank % 256>.<rail + 1>
struct RoceAddress {
  uint32_t rank = 0;
  uint32_t rail = 0;
};

struct RocePacket {
  RoceAddress source, target;
  RoceTransport transport = RoceTransport::rc;
  std::string operation;              // "SEND", "RDMA_WRITE", ... as verbs name them, or "ACK"
  RocePlace place = RocePlace::only;  // in its message
  uint32_t source_pair = 0, target_pair = 0;
  uint32_t psn = 0;
  uint32_t payload_bytes = 0;  // of this packet
  uint32_t message_bytes = 0;
  std::optional<uint8_t> syndrome;  // of an acknowledgement
};

RoceTransport roce_transport(const std::string& type);  // "RC", "UC", "UD", "XRC_SEND"

// The answer that ends a request with this completion status; nullopt: there was none.
std::optional<uint8_t> roce_syndrome(const std::string& status);

// READ and atomic requests carry no payload.
bool is_request_only(const std::string& operation);

// The whole packet; payload and checksum are zeros.
std::string bytes_of(const RocePacket& packet);

}  // namespace railyard::harness
