#include "yard.h"

namespace railyard::harness {

namespace {

// Ports: node0/en3, node0/en4, node1/en3, node1/en4; c1 joins the en3, c2 the en4.
constexpr int kPort[2][2] = {{0, 1}, {2, 3}};

}  // namespace

Yard::Yard() {
  evidence.node_names = {"node0", "node1"};
  evidence.stuck = true;
  fabric::Snapshot& seen = snapshot();
  for (int rank = 0; rank < 2; ++rank) {
    fabric::ProcessView process;
    process.index = process.node = rank;
    process.pid = 100 + rank;
    process.alive = true;
    process.activity = fabric::Activity::polling;
    seen.processes.push_back(process);
    for (const char* name : {"en3", "en4"}) {
      int port = static_cast<int>(seen.ports.size());
      fabric::DeviceView device;
      device.name = name;
      device.node = rank;
      device.port = port;
      device.context_limit = 1;
      seen.devices.push_back(device);
      fabric::PortView view;
      view.device = port;
      view.cable = port % 2;
      view.active = true;
      seen.ports.push_back(view);
    }
    RankEvidence entry;
    entry.rank = rank;
    entry.pid = process.pid;
    entry.waiting = "polls in vain";
    evidence.ranks.push_back(entry);
  }
  for (int cable = 0; cable < 2; ++cable) {
    fabric::CableView view;
    view.name = cable == 0 ? "c1" : "c2";
    for (int end = 0; end < 2; ++end) {
      view.ports[end] = view.original_ports[end] = kPort[end][cable];
    }
    seen.cables.push_back(view);
  }
}

void Yard::connect(int cable) {
  int base = static_cast<int>(snapshot().queue_pairs.size());
  for (int rank = 0; rank < 2; ++rank) {
    fabric::QueuePairView view;
    view.number = static_cast<uint32_t>(16 + base + rank);
    view.process = rank;
    view.device = kPort[rank][cable];
    view.peer_port = kPort[1 - rank][cable];
    view.peer = base + 1 - rank;
    view.reachable = true;
    view.type = "UC";
    view.state = "RTS";
    snapshot().queue_pairs.push_back(view);
  }
}

void Yard::swap_at_node1() {
  auto& cables = snapshot().cables;
  std::swap(cables[0].ports[1], cables[1].ports[1]);
  std::swap(snapshot().ports[2].cable, snapshot().ports[3].cable);
  for (auto& pair : snapshot().queue_pairs) pair.reachable = false;
}

void Yard::unplug(int cable) {
  snapshot().cables[static_cast<size_t>(cable)].plugged = false;
  for (auto& port : snapshot().ports) {
    if (port.cable == cable) port.active = false;
  }
  for (auto& pair : snapshot().queue_pairs) {
    if (pair.device % 2 == cable) pair.reachable = false;
  }
}

void Yard::fail(int who, const std::string& code, const std::string& status) {
  RankError error;
  error.code = code;
  error.status = status;
  error.peer = 1 - who;
  error.message = "it failed";
  rank(who).error = error;
  rank(who).alive = false;
  rank(who).waiting.clear();
  rank(who).exit = 1;
}

void Yard::end(int who, int signal) {
  rank(who).alive = false;
  rank(who).waiting.clear();
  rank(who).signal = signal;
}

}  // namespace railyard::harness
