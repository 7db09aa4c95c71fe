// Files of the PCAP Next Generation format (IETF draft-ietf-opsawg-pcapng).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace railyard::harness {

class PcapngWriter {
 public:
  explicit PcapngWriter(std::string_view comment);

  // An Ethernet interface; they are numbered from 0.
  void add_interface(std::string_view name);
  // The time is since 1970.
  void add_packet(uint32_t interface, int64_t unix_ns, std::string_view bytes,
                  std::string_view comment);

  std::string take() { return std::move(file_); }

 private:
  std::string file_;
};

}  // namespace railyard::harness
