#include "railyard-faulty/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>

#include "railyard-faulty/worker_error.h"

namespace railyard::faulty {
namespace {

using worker::BadInput;

constexpr size_t kMostRails = 8;

std::string either(const char* name, const char* other) {
  const std::string value = worker::environment(name);
  return value.empty() ? worker::environment(other) : value;
}

std::vector<std::string> names_of(const nlohmann::json& cell) {
  if (cell.is_null()) return {};
  if (cell.is_string()) return {cell.get<std::string>()};
  return cell.get<std::vector<std::string>>();
}

}  // namespace

Place place_from_environment() {
  Place place;
  const std::string rank = either("JACCL_RANK", "MLX_RANK");
  place.coordinator = either("JACCL_COORDINATOR", "MLX_JACCL_COORDINATOR");
  const std::string path = either("JACCL_IBV_DEVICES", "MLX_IBV_DEVICES");
  const auto parsed = std::from_chars(rank.data(), rank.data() + rank.size(), place.rank);
  if (parsed.ec != std::errc() || parsed.ptr != rank.data() + rank.size()) {
    throw BadInput(fmt::format("JACCL_RANK: '{}' is no rank", rank));
  }
  std::ifstream file(path);
  const nlohmann::json matrix = nlohmann::json::parse(file, nullptr, false);
  const bool square =
      matrix.is_array() && std::all_of(matrix.begin(), matrix.end(), [&](auto& row) {
        return row.is_array() && row.size() == matrix.size();
      });
  if (!square) throw BadInput(fmt::format("JACCL_IBV_DEVICES: '{}' is no device matrix", path));
  place.ranks = static_cast<int>(matrix.size());
  if (place.rank < 0 || place.rank >= place.ranks) {
    throw BadInput(fmt::format("JACCL_RANK: no row {} in '{}'", place.rank, path));
  }
  try {
    for (const auto& cell : matrix[static_cast<size_t>(place.rank)]) {
      place.devices.push_back(names_of(cell));
    }
  } catch (const nlohmann::json::exception&) {
    throw BadInput(fmt::format("{}: a cell is null, a name or a list of names", path));
  }
  return place;
}

Transport Session::transport(ibv_context* context) const {
  if (Endpoint::is_thunderbolt(context)) return Transport::uc;
  return options.transport;
}

const std::vector<std::string>& Session::rails_to(int peer) const {
  const auto& rails = place.devices[static_cast<size_t>(peer)];
  if (rails.empty() || rails.size() > kMostRails) {
    throw BadInput(
        fmt::format("the device matrix has {} rails from rank {} to rank {}; 1 to {} work",
                    rails.size(), place.rank, peer, kMostRails));
  }
  return rails;
}

void Session::expect_messages_of_two() {
  if (place.ranks != 2) throw BadInput(fmt::format("two ranks are needed, not {}", place.ranks));
  if (work.operations.empty()) {
    worker::Operation messages;
    messages.kind = worker::Operation::Kind::send_recv;
    messages.name = "send_recv";
    messages.repeat = 4;
    messages.bytes = 4096;
    work.operations.push_back(messages);
  }
  for (const worker::Operation& operation : work.operations) {
    if (operation.kind != worker::Operation::Kind::send_recv) {
      throw BadInput(fmt::format("this variant does send_recv, not {}", operation.name));
    }
  }
}

rank::Draw Session::draw(uint32_t operation, uint32_t iteration) const {
  return {work.seed, operation, iteration, place.ranks, false};
}

Link::Link(Session& session, SideChannel& channel, int peer, Endpoint::Options options) {
  const std::vector<std::string>& names = session.rails_to(peer);
  endpoints_.reserve(names.size());
  std::array<Address, kMostRails> mine;
  for (size_t rail = 0; rail < names.size(); ++rail) {
    ContextPointer& context = contexts_[names[rail]];
    if (context == nullptr) context = open_device(names[rail]);
    options.transport = session.transport(context.get());
    options.peer = peer;
    options.rail = static_cast<int>(rail);
    endpoints_.emplace_back(context.get(), names[rail], options);
    mine[rail] = endpoints_.back().address();
  }
  const auto all = all_gather(channel, mine, session.place.ranks);
  for (size_t rail = 0; rail < names.size(); ++rail) {
    endpoints_[rail].connect(all[static_cast<size_t>(peer)][rail]);
  }
  // Nobody sends before everybody is ready.
  channel.barrier();
}

void Link::pass_by(Session& session, SideChannel& channel) {
  all_gather(channel, std::array<Address, kMostRails>{}, session.place.ranks);
  channel.barrier();
}

}  // namespace railyard::faulty
