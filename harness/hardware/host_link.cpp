#include "hardware/host_link.h"

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>

namespace railyard::harness {

namespace {

constexpr int kLookMs = 100;
constexpr int64_t kBeatEveryNs = 500'000'000;
// The first beats come fast: the best of them aligns the clocks. More of them, if none was good.
constexpr int kFirstBeats = 10, kMostFirstBeats = 100;
constexpr int64_t kFirstBeatEveryNs = 10'000'000;
constexpr int64_t kGoodTripNs = 2'000'000;
constexpr int64_t kSilenceNs = 4'000'000'000;      // the host answers each beat at once
constexpr int64_t kFirstWordsNs = 20'000'000'000;  // ssh comes first, and a busy host

}  // namespace

HostLink::HostLink(std::string name, std::unique_ptr<Channel> channel,
                   std::function<std::string()> why)
    : name_(std::move(name)), channel_(std::move(channel)), why_(std::move(why)) {
  thread_ = std::thread([this] { listen(); });
}

HostLink::~HostLink() {
  closing_ = true;
  channel_->close_output();
  thread_.join();
}

void HostLink::listen() {
  int64_t began = monotonic_ns(), heard = 0, beat = 0;
  int64_t unanswered = 0;  // the first beat since the last word
  int beats = 0;
  std::string reason;
  while (!channel_->ended() && !closing_) {
    int64_t now = monotonic_ns();
    bool first = beats < (best_trip_ns_.load() < kGoodTripNs ? kFirstBeats : kMostFirstBeats);
    if (heard != 0 && now - beat > (first ? kFirstBeatEveryNs : kBeatEveryNs)) {
      ++beats;
      channel_->send({{"do", "beat"}, {"at", now}});
      beat = now;
      if (unanswered == 0) unanswered = now;
    }
    // As of before the look: a thread that had to wait for a processor itself finds the answer.
    bool late =
        heard == 0 ? now - began > kFirstWordsNs : unanswered != 0 && now - unanswered > kSilenceNs;
    if (auto message = channel_->receive(first ? kLookMs / 10 : kLookMs)) {
      heard = monotonic_ns();
      unanswered = 0;
      hear(std::move(*message));
    } else if (late) {
      reason = heard == 0 ? "it has not said a word in 20 s" : "it has not answered for 4 s";
      break;
    }
  }
  if (reason.empty()) reason = why_();
  std::lock_guard lock(mutex_);
  lost_ = reason.empty() ? "the connection has ended" : reason;
  news_.notify_all();
}

void HostLink::hear(nlohmann::json message) {
  std::string kind = message.value("is", "");
  if (kind == "beat") return align(message);
  std::lock_guard lock(mutex_);
  latest_[kind] = std::move(message);
  news_.notify_all();
}

// As NTP does: the exchange that took the shortest is the one to believe.
void HostLink::align(const nlohmann::json& beat) {
  int64_t now = monotonic_ns();
  int64_t sent = beat["at"].get<int64_t>(), trip = now - sent;
  if (trip >= best_trip_ns_.load()) return;
  best_trip_ns_.store(trip);
  offset_ns_.store(beat["now"].get<int64_t>() - (sent + trip / 2));
}

nlohmann::json HostLink::wait_for(const std::string& answer, int seconds) {
  std::unique_lock lock(mutex_);
  auto arrived = [&] { return latest_.count(answer) || latest_.count("error") || !lost_.empty(); };
  bool in_time = news_.wait_for(lock, std::chrono::seconds(seconds), arrived);
  if (auto error = latest_.find("error"); error != latest_.end()) {
    std::string what = error->second.value("error", "");
    latest_.erase(error);
    throw std::runtime_error(fmt::format("{}: {}", name_, what));
  }
  if (auto found = latest_.find(answer); found != latest_.end()) {
    nlohmann::json message = std::move(found->second);
    latest_.erase(found);
    return message;
  }
  throw std::runtime_error(fmt::format(
      "{}: {}", name_, in_time ? lost_ : fmt::format("no answer ({}) in {} s", answer, seconds)));
}

nlohmann::json HostLink::ask(const nlohmann::json& message, const std::string& answer,
                             int seconds) {
  take(answer);
  take("error");
  send(message);
  return wait_for(answer, seconds);
}

nlohmann::json HostLink::latest(const std::string& kind) const {
  std::lock_guard lock(mutex_);
  auto found = latest_.find(kind);
  return found == latest_.end() ? nlohmann::json() : found->second;
}

nlohmann::json HostLink::take(const std::string& kind) {
  std::lock_guard lock(mutex_);
  auto found = latest_.find(kind);
  if (found == latest_.end()) return {};
  nlohmann::json message = std::move(found->second);
  latest_.erase(found);
  return message;
}

std::string HostLink::lost() const {
  std::lock_guard lock(mutex_);
  return lost_;
}

}  // namespace railyard::harness
