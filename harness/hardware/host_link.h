// A host's agent, as the harness sees it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "hardware/channel.h"

namespace railyard::harness {

// Keeps the line alive and the clocks aligned on a thread of its own. Thread-safe.
class HostLink {
 public:
  // `why`: asked for the last words of whatever carried the line, once it has ended.
  HostLink(std::string name, std::unique_ptr<Channel> channel, std::function<std::string()> why);
  ~HostLink();
  HostLink(const HostLink&) = delete;

  const std::string& name() const { return name_; }

  void send(const nlohmann::json& message) { channel_->send(message); }
  // Sends and waits for the answer of that kind. Throws std::runtime_error when the host is lost,
  // says that it cannot, or takes longer than this.
  nlohmann::json ask(const nlohmann::json& message, const std::string& answer, int seconds = 10);
  // Waits for a message that comes by itself.
  nlohmann::json wait_for(const std::string& answer, int seconds);

  // The latest message of a kind, null: none since it was taken or forgotten.
  nlohmann::json latest(const std::string& kind) const;
  nlohmann::json take(const std::string& kind);

  // Why the host is lost, in words; empty: it is not.
  std::string lost() const;

  // A time of the host's clock on this machine's, both CLOCK_MONOTONIC; and how far it may be off.
  int64_t to_local_ns(int64_t remote_ns) const { return remote_ns - offset_ns_.load(); }
  int64_t uncertainty_ns() const { return best_trip_ns_.load() / 2; }

 private:
  void listen();
  void hear(nlohmann::json message);
  void align(const nlohmann::json& beat);

  std::string name_;
  std::unique_ptr<Channel> channel_;
  std::function<std::string()> why_;
  mutable std::mutex mutex_;
  std::condition_variable news_;
  std::map<std::string, nlohmann::json> latest_;
  std::string lost_;
  std::atomic<int64_t> offset_ns_{0}, best_trip_ns_{INT64_MAX};
  std::atomic<bool> closing_{false};
  std::thread thread_;
};

}  // namespace railyard::harness
