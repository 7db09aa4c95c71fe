// What is seen of ranks on hosts: what the library in front of their devices counts, laid over the
// model of their cables.
#include <type_traits>

#include "hardware/remote_ranks.h"
#include "railyard/fabric_names.h"
#include "railyard/passthrough.h"

namespace railyard::harness {

using nlohmann::json;

namespace {

constexpr int64_t kPollsOnNs = 100'000'000;

}  // namespace

// Whether a rank has polled in vain lately: one that did so once may long be elsewhere.
bool RemoteRanks::polls_on(Rank& rank, uint64_t empty_polls) {
  int64_t now = monotonic_ns();
  if (empty_polls != rank.empty_polls) rank.polled_at_ns = now;
  rank.empty_polls = empty_polls;
  return rank.polled_at_ns != 0 && now - rank.polled_at_ns < kPollsOnNs;
}

int RemoteRanks::device_in(const fabric::Snapshot& snapshot, int rank,
                           const std::string& device) const {
  std::string port = placement_.port(rank, device);
  for (const fabric::DeviceView& each : snapshot.devices) {
    if (each.port >= 0 && fabric_.port_name(each.port) == port) {
      return static_cast<int>(&each - snapshot.devices.data());
    }
  }
  return -1;
}

// What the library in front of a rank's devices has seen of them.
void RemoteRanks::look_at_devices(int rank, fabric::Snapshot& snapshot) const {
  static const std::vector<std::string> statuses = fabric::completion_status_names();
  for (const auto& [name, seen] : ranks_[static_cast<size_t>(rank)].state["devices"].items()) {
    int found = device_in(snapshot, rank, name);
    if (found < 0) continue;
    fabric::DeviceView& device = snapshot.devices[static_cast<size_t>(found)];
    static_assert(std::extent_v<decltype(device.refusals)> == passthrough::kCountedResources);
    for (size_t i = 0; i < passthrough::kCountedResources; ++i) {
      device.refusals[i] = seen["refused"][i];
    }
    fabric::PortView& port = snapshot.ports[static_cast<size_t>(device.port)];
    port.completions_in_error = seen["errors"];
    size_t status = seen["last_error"];
    port.last_error = status < statuses.size() ? statuses[status] : "";
    port.changed_in_flight = seen["changed_in_flight"];
  }
}

// The device that a rank waits for, if that is one of those that can be open only so often.
int RemoteRanks::device_opening(int rank, const fabric::Snapshot& snapshot) const {
  std::string name = ranks_[static_cast<size_t>(rank)].state["opening"];
  int found = name.empty() ? -1 : device_in(snapshot, rank, name);
  bool limited = found >= 0 && snapshot.devices[static_cast<size_t>(found)].context_limit > 0;
  return limited ? found : -1;
}

void RemoteRanks::add_contexts(int rank, int process, fabric::Snapshot& snapshot) const {
  for (const auto& [name, seen] : ranks_[static_cast<size_t>(rank)].state["devices"].items()) {
    int found = device_in(snapshot, rank, name);
    for (int i = 0; found >= 0 && i < seen["contexts"].get<int>(); ++i) {
      fabric::ContextView context;
      context.process = process;
      context.device = found;
      snapshot.contexts.push_back(context);
    }
  }
}

// An agent hears in order: a look that it was asked for shows what all that was said before has done.
bool RemoteRanks::known_since(int64_t since_ns) {
  bool asked = since_ns == looked_since_ns_;
  looked_since_ns_ = since_ns;
  if (!asked) ++look_number_;
  bool known = asked;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].ending) continue;
    if (!asked) hosts_.link(static_cast<int>(i)).send({{"do", "look"}, {"number", look_number_}});
    const json& told = ranks_[i].state;
    known = known && told.is_object() && told["look"] == look_number_;
  }
  return known;
}

// What the ranks do in verbs, as the library in front of their devices counts it.
void RemoteRanks::look(fabric::Snapshot& snapshot) {
  for (size_t i = 0; i < ranks_.size(); ++i) {
    int rank = static_cast<int>(i);
    take_state(rank);
    send_page(rank);
    const json& told = ranks_[i].state;
    if (!told.is_object()) continue;
    look_at_devices(rank, snapshot);
    if (ranks_[i].ending) continue;
    const json& calls = told["calls"];
    fabric::ProcessView view;
    view.index = static_cast<int>(snapshot.processes.size());
    view.pid = ranks_[i].pid;
    view.node = rank;
    view.alive = true;
    view.progress = calls[2].get<uint64_t>() + calls[3].get<uint64_t>() + calls[4].get<uint64_t>();
    view.empty_polls = calls[5];
    size_t inside = calls[1];
    if (inside != 0 && inside < std::size(passthrough::kPlaces)) {
      view.activity = fabric::Activity::blocked;
      view.verb = passthrough::kPlaces[inside];
      view.blocked_device = device_opening(rank, snapshot);
    } else if (polls_on(ranks_[i], view.empty_polls)) {
      view.activity = fabric::Activity::polling;
    }
    snapshot.activity += view.progress;
    if (calls[0].get<int>() == 0) continue;
    add_contexts(rank, view.index, snapshot);
    snapshot.processes.push_back(std::move(view));
  }
}

}  // namespace railyard::harness
