#include "transport/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace railyard {

namespace {

using Clock = std::chrono::steady_clock;

// How long messages of a peer that left in good order may still be on the way.
constexpr std::chrono::milliseconds kTimeForLastMessages{200};
// How often who waits asks whether the cable is still there.
constexpr std::chrono::milliseconds kBetweenLooks{2};
// How long drain() waits for the next send to complete.
constexpr std::chrono::milliseconds kDrain{500};
// A yield that takes so long gave the processor to strangers, who use up their time slices.
constexpr std::chrono::milliseconds kStrangersYield{1};
constexpr std::chrono::microseconds kNap{20};
constexpr uint32_t kNapsBesideStrangers = 64;

}  // namespace

// Beside strangers that compute, a yield costs a time slice of each of theirs, and a step of a ring
// that for every rank in turn. Who sleeps instead keeps its claim, and goes first when it wakes.
void Engine::yield_or_nap() {
  if (naps_ > 0) {
    --naps_;
    std::this_thread::sleep_for(kNap);
    return;
  }
  auto begin = Clock::now();
  std::this_thread::yield();
  if (Clock::now() - begin > kStrangersYield) naps_ = kNapsBesideStrangers;
}

bool Engine::sends_pending() const {
  for (const Link& link : links_) {
    for (const Rail* rail : link.rails) {
      if (rail->sends_pending()) return true;
    }
  }
  return false;
}

const Rail* Engine::only_rail_to(int rank) const {
  if (rank < 0 || static_cast<size_t>(rank) >= links_.size()) return nullptr;
  const auto& rails = links_[static_cast<size_t>(rank)].rails;
  return rails.size() == 1 ? rails.front() : nullptr;
}

void Engine::drain() noexcept {
  auto end = Clock::now() + kDrain;
  try {
    do {
      // Again and again: polling may post credits, and a rail may have none for its last words.
      for (const Link& link : links_) {
        for (Rail* rail : link.rails) rail->flush_sends();
      }
      if (poll()) end = Clock::now() + kDrain;
    } while (sends_pending() && !side_channel_.has_news() && Clock::now() < end);
  } catch (const Error&) {
    // Whoever destroys a group has no use for its last words any more.
  }
}

void Engine::Watch::check(const Rail* rail) {
  SideChannel& side_channel = engine_.side_channel_;
  if (side_channel.has_news()) {
    Error error = to_error(side_channel.news(), operation_, engine_.config_.rank);
    const Rail* to_peer =
        rail && rail->peer() == error.peer ? rail : engine_.only_rail_to(error.peer);
    if (to_peer && error.device.empty()) {
      error.device = to_peer->device();
      error.rail = to_peer->index();
    }
    throw error;
  }
  auto now = Clock::now();
  if (start_ == Clock::time_point{}) start_ = looked_at_ = now;
  if (now - start_ >= engine_.config_.deadline) fail_unreachable(rail);
  if (!rail) return;
  if (now - looked_at_ >= kBetweenLooks) {
    looked_at_ = now;
    if (rail->broken()) fail_broken(*rail);
  }
  // Each of many peers that left has its own time, and that begins when its messages come no more.
  if (rail != waits_for_ || moved) left_at_ = {};
  waits_for_ = rail;
  moved = false;
  if (left_at_ == Clock::time_point{}) {
    if (side_channel.has_left(rail->peer())) left_at_ = now;
  } else if (now - left_at_ >= kTimeForLastMessages) {
    if (side_channel.has_left(rail->peer())) fail_left(*rail);
    left_at_ = {};
  }
}

void Engine::Watch::fail_unreachable(const Rail* rail) const {
  ErrorFields fields;
  fields.operation = operation_;
  auto deadline = engine_.config_.deadline.count();
  if (!rail) {
    throw Error(ErrorCode::deadline_exceeded,
                fmt::format("{} was not done within {} ms", operation_, deadline), fields);
  }
  fields = fields_of(operation_, rail->place());
  throw Error(
      ErrorCode::peer_unreachable,
      fmt::format("{}: nothing came from rank {} over {} (rail {}) within {} ms, though its "
                  "process lives; check the cable, or what that rank waits for",
                  operation_, rail->peer(), rail->device(), rail->index(), deadline),
      fields);
}

void Engine::Watch::fail_broken(const Rail& rail) const {
  ErrorFields fields = fields_of(operation_, rail.place());
  throw Error(
      ErrorCode::peer_unreachable,
      fmt::format("{}: the port of {} is down: the cable to rank {} (rail {}) is unplugged, "
                  "or what it leads to is off",
                  operation_, rail.device(), rail.peer(), rail.index()),
      fields);
}

void Engine::Watch::fail_left(const Rail& rail) const {
  ErrorFields fields = fields_of(operation_, rail.place());
  throw Error(ErrorCode::peer_dead,
              fmt::format("{}: rank {} has left the group while this rank still needs it",
                          operation_, rail.peer()),
              fields);
}

}  // namespace railyard
