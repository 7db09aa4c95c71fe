// A packet capture (pcapng) of a run's messages as RoCEv2 packets, which Wireshark dissects.
//
// The record has no payloads: they are written as zeros. Of a message longer than three packets,
// the first and the last are written; packet sequence numbers count those between. One interface
// per port.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "railyard/record.h"
#include "railyard/report.h"
#include "report/pcapng.h"
#include "report/rocev2.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

struct Packet {
  int64_t at_ns = 0;
  uint32_t interface = 0;
  RocePacket content;
  std::string comment;
};

// "": nothing to remark.
std::string remark(const RecordedMessage& message) {
  if (*message.lost != 0) return message.lost;
  if (message.arrived_ns < 0) return "its arrival was not seen";
  return "";
}

class Dissection {
 public:
  Dissection(const RunReport& report, int first_interface)
      : report_(report), record_(*report.record), first_interface_(first_interface) {}

  std::vector<Packet> packets() {
    for (const RecordedMessage& message : record_.messages) {
      if (message.posted_ns >= 0) add(message);
    }
    std::stable_sort(packets_.begin(), packets_.end(),
                     [](const Packet& a, const Packet& b) { return a.at_ns < b.at_ns; });
    for (const FaultReport& fault : report_.faults) remark_on(fault);
    return std::move(packets_);
  }

 private:
  RoceAddress address(int port) const {
    RoceAddress address;
    if (port < 0) return address;
    const RecordedPort& own = record_.ports[static_cast<size_t>(port)];
    address.rank = static_cast<uint32_t>(own.rank);
    while (port > 0 && record_.ports[static_cast<size_t>(port) - 1].rank == own.rank) {
      --port;
      ++address.rail;
    }
    return address;
  }

  void add(const RecordedMessage& message) {
    const RecordedPair* sender = record_.pair(message.pair);
    if (!sender || sender->port < 0) return;
    const RecordedPair* receiver = record_.pair(message.peer);
    int to = receiver ? receiver->port : sender->peer_port;
    RocePacket packet;
    packet.source = address(sender->port);
    packet.target = address(to);
    packet.transport = roce_transport(sender->type);
    packet.operation = message.opcode;
    packet.source_pair = message.pair;
    packet.target_pair = message.peer != 0 ? message.peer : sender->peer_number;
    uint32_t& psn = next_psn_.try_emplace(message.pair, sender->first_psn).first->second;
    uint64_t count = std::max<uint64_t>(1, (message.bytes + kRoceMtu - 1) / kRoceMtu);
    if (is_request_only(message.opcode)) count = 1;
    for (uint64_t i = 0; i < count; ++i) {
      if (count > 3 && i != 0 && i + 1 != count) continue;
      packet.psn = psn + static_cast<uint32_t>(i);
      packet.place = count == 1       ? RocePlace::only
                     : i == 0         ? RocePlace::first
                     : i + 1 == count ? RocePlace::last
                                      : RocePlace::middle;
      packet.payload_bytes = count == 1       ? static_cast<uint32_t>(message.bytes)
                             : i + 1 == count ? static_cast<uint32_t>(message.bytes - i * kRoceMtu)
                                              : kRoceMtu;
      packet.message_bytes = static_cast<uint32_t>(message.bytes);
      std::string comment = i + 1 == count ? remark(message) : "";
      packets_.push_back({message.posted_ns, interface_of(sender->port), packet, comment});
    }
    if (sender->type == "RC") answer(message, packet, to);
    psn += static_cast<uint32_t>(count);
  }

  void answer(const RecordedMessage& message, RocePacket packet, int port) {
    if (message.completed_ns < 0 || message.number == 0 || port < 0) return;
    packet.operation = "ACK";
    packet.syndrome = roce_syndrome(message.status);
    if (!packet.syndrome) return;  // nobody answered
    std::swap(packet.source, packet.target);
    std::swap(packet.source_pair, packet.target_pair);
    packet.place = RocePlace::only;
    packet.payload_bytes = 0;
    packets_.push_back({message.completed_ns, interface_of(port), packet, ""});
  }

  void remark_on(const FaultReport& fault) {
    if (!fault.fired) return;
    auto after = std::find_if(packets_.begin(), packets_.end(),
                              [&](const Packet& each) { return each.at_ns >= fault.at_ns; });
    if (after == packets_.end()) return;
    std::string text = fmt::format("fault {} fired {} before: {}", fault.name,
                                   format_ns(after->at_ns - fault.at_ns), fault.evidence);
    after->comment += (after->comment.empty() ? "" : "\n") + text;
  }

  uint32_t interface_of(int port) const { return static_cast<uint32_t>(first_interface_ + port); }

  const RunReport& report_;
  const RunRecord& record_;
  int first_interface_;
  std::map<uint32_t, uint32_t> next_psn_;
  std::vector<Packet> packets_;
};

// A capture is kept below this; the oldest packets of a run make room.
constexpr size_t kMostBytes = 64 << 20;

std::string preface(const std::vector<RunReport>& reports) {
  std::string text = "Railyard; the messages of simulated devices as RoCEv2, payloads as zeros";
  for (const RunReport& report : reports) {
    text += fmt::format("\n{}: {}: {}", report.name, report.diagnosis.verdict,
                        report.diagnosis.headline);
  }
  return text;
}

// The first packet from which on they fit into so many bytes.
size_t first_to_fit(const std::vector<Packet>& packets, size_t most) {
  size_t first = packets.size();
  for (size_t bytes = 0; first > 0; --first) {
    bytes += packets[first - 1].content.payload_bytes + 128;
    if (bytes > most) break;
  }
  return first;
}

}  // namespace

std::string capture_report(const std::vector<RunReport>& reports) {
  PcapngWriter file(preface(reports));
  int interfaces = 0;
  for (const RunReport& report : reports) {
    if (!report.record) continue;
    for (const RecordedPort& port : report.record->ports) {
      file.add_interface(reports.size() == 1 ? port.name : report.name + ":" + port.name);
    }
    std::vector<Packet> packets = Dissection(report, interfaces).packets();
    for (size_t i = first_to_fit(packets, kMostBytes / reports.size()); i < packets.size(); ++i) {
      const Packet& packet = packets[i];
      int64_t at = report.began_unix_ns + packet.at_ns - report.started_ns;
      file.add_packet(packet.interface, at, bytes_of(packet.content), packet.comment);
    }
    interfaces += static_cast<int>(report.record->ports.size());
  }
  return file.take();
}

}  // namespace railyard::harness
