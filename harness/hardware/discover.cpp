// Which device of which host is cabled to which.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "hardware/remote_hosts.h"
#include "railyard/hosts.h"
#include "railyard/topology.h"

namespace railyard::harness {

using nlohmann::json;

namespace {

constexpr int kAnswerMs = 20'000;  // a device may take seconds to refuse an address
constexpr int kHearMs = 200;       // for one message to cross a cable

// A host's probe, over the host's connection.
class Probe {
 public:
  Probe(RemoteHosts& hosts, int host)
      : name_(hosts.plan().hosts[static_cast<size_t>(host)].host.ssh) {
    channel_ = hosts.open_probe(host, process_);
    json ready = hear();
    if (ready.contains("error")) {
      throw std::runtime_error(fmt::format("{}: {}", name_, ready["error"].get<std::string>()));
    }
  }

  // The answer; an answer that is a failure is given as it is.
  json ask(const json& message) {
    channel_->send(message);
    return hear();
  }

  bool done(const char* act, const std::string& device, json more = json::object()) {
    more["do"] = act;
    more["device"] = device;
    return ask(more)["is"] == "done";
  }

 private:
  json hear() {
    std::optional<json> answer = channel_->receive(kAnswerMs);
    if (answer) return *answer;
    throw std::runtime_error(
        fmt::format("{}: its probe does not answer; is the host still there?", name_));
  }

  std::string name_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<Channel> channel_;
};

// "Thunderbolt 1, Up to 80 Gb/s, to Mac mini"; of a Mac alone.
std::string port_text(const json& port) {
  if (port.empty()) return "";
  std::string peer = port.value("peer_name", "");
  return fmt::format("  Thunderbolt {}, {}, {}", port.value("receptacle", ""),
                     port.value("speed", ""), peer.empty() ? "nothing plugged in" : "to " + peer);
}

bool knows_peer(const json& port) { return !port.value("peer_domain", "").empty(); }

// Whether a message gets from one device to the other.
bool joined(Probe& from, const std::string& device, Probe& to, const std::string& other) {
  json mine = from.ask({{"do", "offer"}, {"device", device}});
  json theirs = to.ask({{"do", "offer"}, {"device", other}});
  bool arrived = false;
  if (mine["is"] == "offer" && theirs["is"] == "offer" && to.done("connect", other, mine) &&
      from.done("connect", device, theirs) && from.done("send", device)) {
    json heard = to.ask({{"do", "hear"}, {"device", other}, {"wait_ms", kHearMs}});
    arrived = heard.value("heard", false);
  }
  from.done("drop", device);
  to.done("drop", other);
  return arrived;
}

}  // namespace

Discovery discover(Hosts& hosts) {
  RemoteHosts& remote = hosts.remote();
  Discovery discovery;
  std::vector<fabric::NodeSpec> nodes;
  std::vector<std::unique_ptr<Probe>> probes;
  for (size_t i = 0; i < remote.plan().hosts.size(); ++i) {
    fabric::NodeSpec node{remote.plan().hosts[i].host.ssh, {}};
    for (const json& device : remote.devices(static_cast<int>(i))) {
      bool active = device.value("active", false);
      std::string port = port_text(remote.thunderbolt(static_cast<int>(i), device["name"]));
      discovery.table += fmt::format(
          "  {:<20} {:<12} {:<18} {:<6} {}{}\n", node.name, device["name"].get<std::string>(),
          device.value("guid", "-"), active ? "active" : "down",
          device.contains("gids")
              ? fmt::format("{}", fmt::join(device["gids"].get<std::vector<std::string>>(), " "))
              : device.value("error", ""),
          port);
      if (active) node.devices.push_back(device["name"]);
    }
    nodes.push_back(std::move(node));
    probes.push_back(std::make_unique<Probe>(remote, static_cast<int>(i)));
  }
  discovery.cluster = match_cables(
      nodes, [&](size_t a, const std::string& device, size_t b, const std::string& other) {
        // Where both are Macs they know the ends of their cables; otherwise a message tells.
        json here = remote.thunderbolt(static_cast<int>(a), device);
        json there = remote.thunderbolt(static_cast<int>(b), other);
        if (knows_peer(here) && knows_peer(there)) {
          return here["peer_domain"] == there["domain"] && there["peer_domain"] == here["domain"];
        }
        return joined(*probes[a], device, *probes[b], other);
      });
  return discovery;
}

}  // namespace railyard::harness
