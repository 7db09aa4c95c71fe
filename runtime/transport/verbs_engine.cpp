#include "transport/verbs_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "bootstrap/wire.h"

namespace railyard {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCompletionsAtOnce = 16;
// Of so many looks for one rail's message, one is at all rails.
constexpr uint32_t kNarrowPolls = 8;
// Thunderbolt devices have few regions, and one cable is slower than copies: only several cables to
// one peer are lent buffers, and none whose registration would take long beside their way.
constexpr size_t kLendToThunderbolt = size_t{1} << 20;
// How long a completion error waits for news that explains it: a killed peer's socket closes a
// little later than its queue pairs.
constexpr std::chrono::milliseconds kTimeForNews{250};

}  // namespace

VerbsEngine::VerbsEngine(const Config& config, const std::vector<int>& peers, int rails,
                         SideChannel& side_channel)
    : Engine(config, side_channel) {
  open(peers, rails);
}

void VerbsEngine::open(const std::vector<int>& peers, int rails) {
  struct Wanted {
    int peer, index;
  };
  std::map<std::string, std::vector<Wanted>> by_device;
  for (int peer : peers) {
    const auto& names =
        config_.devices[static_cast<size_t>(config_.rank)][static_cast<size_t>(peer)];
    int used = std::min(rails, static_cast<int>(names.size()));
    for (int index = 0; index < used; ++index) {
      by_device[names[static_cast<size_t>(index)]].push_back({peer, index});
    }
    links_[static_cast<size_t>(peer)].peer = peer;
  }
  int count = 0;
  for (const auto& [name, wanted] : by_device) count += static_cast<int>(wanted.size());

  for (const auto& [name, wanted] : by_device) {
    auto& port = ports_.emplace_back();
    port.device = Device::open(name, config_.bootstrap_deadline);
    size_t most = port.device->max_message_bytes();
    if (config_.max_message_bytes > 0) most = std::min(most, config_.max_message_bytes);
    SlotPlan plan = SlotPlan::for_rails(count, peers.size(), most, port.device->is_thunderbolt());
    auto entries = [&](uint32_t slots) { return static_cast<int>(wanted.size() * 2 * slots) + 1; };
    port.small_completions =
        std::make_unique<CompletionQueue>(port.device, entries(plan.small_slots));
    port.large_completions =
        std::make_unique<CompletionQueue>(port.device, entries(plan.large_slots));
    port.slab = std::make_unique<Slab>(port.device, wanted.size() * plan.bytes());
    port.lent = std::make_unique<LentMemory>(port.device);
    Transport transport = QueuePair::choose_transport(port.device, *port.small_completions);
    std::byte* memory = port.slab->data();
    for (const Wanted& rail : wanted) {
      VerbsRail::Place place{static_cast<int>(rails_.size()), rail.peer, rail.index};
      rails_.push_back(std::make_unique<VerbsRail>(place, port.device, *port.small_completions,
                                                   *port.large_completions, transport, plan, memory,
                                                   port.slab->key(), *port.lent));
      port.rails.push_back(rails_.back().get());
      port_of_rail_.push_back(ports_.size() - 1);
      memory += plan.bytes();
    }
  }
  for (int peer : peers) {
    std::vector<VerbsRail*> ordered = rails_to(peer);
    links_[static_cast<size_t>(peer)].rails.assign(ordered.begin(), ordered.end());
    several_rails_ |= ordered.size() > 1;
  }
}

// In the order of the device matrix: rail k here and rail k there are the ends of one cable,
// whatever the devices are called.
std::vector<VerbsRail*> VerbsEngine::rails_to(int peer) const {
  std::vector<VerbsRail*> rails;
  for (const auto& rail : rails_) {
    if (rail->peer() == peer) rails.push_back(rail.get());
  }
  std::sort(rails.begin(), rails.end(),
            [](const Rail* a, const Rail* b) { return a->index() < b->index(); });
  return rails;
}

// What all ranks have said in the exchange of addresses.
VerbsEngine::Addresses VerbsEngine::read_addresses(const std::vector<std::string>& all) const {
  Addresses result;
  result.to_me.resize(links_.size());
  for (size_t rank = 0; rank < links_.size(); ++rank) {
    WireReader targets(all.at(rank));
    for (size_t target = 0; target < links_.size(); ++target) {
      std::string texts = targets.text();
      uint32_t count = 0;
      for (WireReader rails(texts); !rails.empty(); ++count) {
        RailAddress address = RailAddress::unpack(rails.text());
        result.large_bytes = std::min<size_t>(result.large_bytes, address.large_bytes);
        if (target == static_cast<size_t>(config_.rank)) result.to_me[rank].push_back(address);
      }
      result.rails = std::max(result.rails, count);
    }
  }
  return result;
}

void VerbsEngine::connect() {
  auto deadline = Clock::now() + config_.bootstrap_deadline;
  // One text for each rank: the addresses of the rails to it. Every rank gets everybody's.
  WireWriter mine;
  for (const Link& link : links_) {
    WireWriter addresses;
    for (const VerbsRail* rail : rails_to(link.peer)) addresses.put(rail->address().pack());
    mine.put(addresses.take());
  }
  auto all = side_channel_.exchange(mine.take(), "to exchange addresses", deadline);

  Addresses addresses;
  try {
    addresses = read_addresses(all);
  } catch (const std::out_of_range& error) {
    throw Error(ErrorCode::side_channel_lost,
                fmt::format("bootstrap: the ranks' addresses cannot be read: {}", error.what()),
                fields_of("bootstrap", {}));
  }
  Cut cut{.large_payload = addresses.large_bytes, .rails = addresses.rails};
  for (const auto& rail : rails_) {
    const auto& offered = addresses.to_me[static_cast<size_t>(rail->peer())];
    auto index = static_cast<size_t>(rail->index());
    if (index >= offered.size()) {
      throw Error(ErrorCode::configuration,
                  fmt::format("rank {} has no rail {} to this rank {}; give all ranks the same "
                              "device matrix and backend",
                              rail->peer(), index, config_.rank));
    }
    rail->connect(offered[index], cut);
  }
  side_channel_.exchange("", "to post receives", deadline);
}

bool VerbsEngine::poll(const Rail* only) {
  int taken = 0;
  if (only && ++narrow_polls_ % kNarrowPolls != 0) {
    Port& port = ports_[port_of_rail_[static_cast<size_t>(only->id())]];
    return poll(port, *port.small_completions) > 0;
  }
  for (Port& port : ports_) {
    taken += poll(port, *port.small_completions);
    for (const VerbsRail* rail : port.rails) {
      if (!rail->large_pending()) continue;
      taken += poll(port, *port.large_completions);
      break;
    }
  }
  return taken > 0;
}

int VerbsEngine::poll(Port& port, CompletionQueue& queue) {
  ibv_wc completions[kCompletionsAtOnce];
  int count = queue.poll(completions, kCompletionsAtOnce);
  if (count < 0) throw verb_error(ErrorCode::device, "ibv_poll_cq", 0, {port.device->name()});
  for (int i = 0; i < count; ++i) take(completions[i]);
  return count;
}

void VerbsEngine::read_rest() noexcept {
  ibv_wc unused[kCompletionsAtOnce];
  for (Port& port : ports_) {
    for (CompletionQueue* queue : {port.small_completions.get(), port.large_completions.get()}) {
      while (queue && queue->poll(unused, kCompletionsAtOnce) > 0) {
      }
    }
  }
}

void VerbsEngine::lend_to_devices(std::byte* data, size_t bytes) {
  for (Port& port : ports_) {
    if (port.device->is_thunderbolt() && (!several_rails_ || bytes < kLendToThunderbolt)) continue;
    port.lent->lend(data, bytes);
  }
}

void VerbsEngine::take_back() {
  for (Port& port : ports_) port.lent->take_back();
}

void VerbsEngine::take(const ibv_wc& completion) {
  VerbsRail& rail = *rails_[static_cast<size_t>(VerbsRail::rail_of(completion.wr_id))];
  if (completion.status != IBV_WC_SUCCESS) {
    // Credits that cross a peer's goodbye find nobody; a stream that needs the peer notices itself.
    if (side_channel_.has_left(rail.peer())) return;
    fail_completion(completion, rail);
  }
  rail.complete(completion.wr_id);
}

void VerbsEngine::fail_completion(const ibv_wc& completion, const Rail& rail) {
  if (side_channel_.wait_for_news(kTimeForNews)) {
    throw to_error(side_channel_.news(), "completion", config_.rank);
  }
  ErrorFields fields = fields_of("completion", rail.place());
  fields.completion_status = completion_status_name(completion.status);
  bool silent = completion.status == IBV_WC_RETRY_EXC_ERR;
  bool receive = completion.wr_id & 1;
  throw Error(silent ? ErrorCode::peer_unreachable : ErrorCode::completion_error,
              fmt::format("a {} {} rank {} over {} (rail {}) completed with {}{}",
                          receive ? "receive" : "send", receive ? "from" : "to", rail.peer(),
                          rail.device(), rail.index(), fields.completion_status,
                          silent ? ": the device tried again and had no answer" : ""),
              fields);
}

}  // namespace railyard
