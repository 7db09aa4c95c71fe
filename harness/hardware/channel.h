// Lines of JSON between the harness and a host's agent: over ssh's standard streams, or a socket.
#pragma once

#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace railyard::harness {

// Sends from any thread; receives on one. Owns its descriptors.
class Channel {
 public:
  Channel(int input, int output) : input_(input), output_(output) {}
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // False: the other side is gone.
  bool send(const nlohmann::json& message);
  // The next message; nullopt after so long without one, or at the end. What is no JSON is skipped.
  std::optional<nlohmann::json> receive(int timeout_ms);
  bool ended() const { return ended_; }
  // The other side sees the end; what it still sends arrives.
  void close_output();

 private:
  std::optional<std::string> line();

  int input_, output_;
  bool ended_ = false;
  std::string buffer_;
  std::mutex sending_;
};

// Of this machine, CLOCK_MONOTONIC.
int64_t monotonic_ns();

}  // namespace railyard::harness
