#include "group/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "bootstrap/wire.h"
#include "group/connected_group.h"
#include "group/local_group.h"

namespace railyard {

namespace {

// The ranks of one colour, by key, then by rank.
std::vector<int> members_of(int color, const std::vector<std::string>& choices) {
  std::vector<std::pair<int, int>> keyed;
  for (size_t rank = 0; rank < choices.size(); ++rank) {
    WireReader choice(choices[rank]);
    auto its_color = choice.get<int32_t>();
    auto key = choice.get<int32_t>();
    if (its_color == color) keyed.emplace_back(key, static_cast<int>(rank));
  }
  std::sort(keyed.begin(), keyed.end());
  std::vector<int> members;
  for (const auto& [key, rank] : keyed) members.push_back(rank);
  return members;
}

// The devices between the members.
DeviceMatrix rows_of(const DeviceMatrix& devices, const std::vector<int>& members) {
  DeviceMatrix rows;
  for (int i : members) {
    auto& row = rows.emplace_back();
    for (int j : members) row.push_back(devices[static_cast<size_t>(i)][static_cast<size_t>(j)]);
  }
  return rows;
}

}  // namespace

SubGroup agree_on_split(const Config& parent, SideChannel& side_channel, int color, int key) {
  auto deadline = std::chrono::steady_clock::now() + parent.deadline;
  std::string choice =
      WireWriter().put(static_cast<int32_t>(color)).put(static_cast<int32_t>(key)).take();
  auto choices = side_channel.exchange(choice, "to split", deadline);

  SubGroup part;
  part.color = color;
  if (color >= 0) part.members = members_of(color, choices);
  auto me = std::find(part.members.begin(), part.members.end(), parent.rank);
  part.rank = static_cast<int>(me - part.members.begin());
  // The system chooses the ports, so that no two groups can meet on one.
  if (part.members.size() > 1 && part.rank == 0) {
    part.listener = Listener::open(address_towards(parent.coordinator));
  }
  auto endpoints = side_channel.exchange(part.listener.endpoint, "to split", deadline);
  if (!part.members.empty()) {
    part.coordinator = endpoints.at(static_cast<size_t>(part.members.front()));
  }
  return part;
}

std::unique_ptr<Group> make_sub_group(const Config& parent, Backend backend, SubGroup part) {
  if (part.members.empty()) return nullptr;
  if (part.members.size() == 1) {
    return std::make_unique<LocalGroup>(
        fmt::format("this rank is the only one of colour {}", part.color));
  }
  Config config = parent;
  config.rank = part.rank;
  config.coordinator = part.coordinator;
  config.ranks = static_cast<int>(part.members.size());
  config.devices.clear();
  config.backend = backend;
  bool over_rdma = backend == Backend::mesh || backend == Backend::ring;
  if (over_rdma) {
    config.devices = rows_of(parent.devices, part.members);
    config.backend = Backend::any;
    config.prefer_ring = backend == Backend::ring;
  }
  std::string reason;
  Backend chosen = config.choose_backend(&reason);
  if (!over_rdma) reason = fmt::format("the group that was split is over {}", name(backend));
  ConnectedGroup::Origin origin{part.listener.socket.release(), over_rdma};
  return std::make_unique<ConnectedGroup>(config, chosen, std::move(reason), origin);
}

}  // namespace railyard
