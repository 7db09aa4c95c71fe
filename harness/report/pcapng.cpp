#include "report/pcapng.h"

namespace railyard::harness {

namespace {

constexpr uint32_t kSection = 0x0a0d0d0a, kInterface = 1, kPacket = 6;
constexpr uint16_t kEndOfOptions = 0, kComment = 1, kInterfaceName = 2, kTimeResolution = 9;
constexpr uint16_t kEthernet = 1;
constexpr char kNanoseconds = 9;  // a power of ten

// Numbers are written as this machine has them; the section's magic tells which way that is.
template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_padded(std::string& out, std::string_view bytes) {
  out.append(bytes);
  out.append((4 - bytes.size() % 4) % 4, '\0');
}

void put_option(std::string& out, uint16_t code, std::string_view value) {
  value = value.substr(0, 0xffff);
  put(out, code);
  put(out, static_cast<uint16_t>(value.size()));
  put_padded(out, value);
}

void put_block(std::string& out, uint32_t type, const std::string& body) {
  auto length = static_cast<uint32_t>(body.size() + 12);
  put(out, type);
  put(out, length);
  out += body;
  put(out, length);
}

}  // namespace

PcapngWriter::PcapngWriter(std::string_view comment) {
  std::string body;
  put(body, uint32_t{0x1a2b3c4d});
  put(body, uint16_t{1});  // version 1.0
  put(body, uint16_t{0});
  put(body, int64_t{-1});  // the section's length: not said
  put_option(body, kComment, comment);
  put(body, uint32_t{kEndOfOptions});
  put_block(file_, kSection, body);
}

void PcapngWriter::add_interface(std::string_view name) {
  std::string body;
  put(body, kEthernet);
  put(body, uint16_t{0});
  put(body, uint32_t{0});  // no snapshot length
  put_option(body, kInterfaceName, name);
  put_option(body, kTimeResolution, std::string_view(&kNanoseconds, 1));
  put(body, uint32_t{kEndOfOptions});
  put_block(file_, kInterface, body);
}

void PcapngWriter::add_packet(uint32_t interface, int64_t unix_ns, std::string_view bytes,
                              std::string_view comment) {
  auto time = static_cast<uint64_t>(unix_ns);
  std::string body;
  put(body, interface);
  put(body, static_cast<uint32_t>(time >> 32));
  put(body, static_cast<uint32_t>(time));
  put(body, static_cast<uint32_t>(bytes.size()));
  put(body, static_cast<uint32_t>(bytes.size()));
  put_padded(body, bytes);
  if (!comment.empty()) {
    put_option(body, kComment, comment);
    put(body, uint32_t{kEndOfOptions});
  }
  put_block(file_, kPacket, body);
}

}  // namespace railyard::harness
