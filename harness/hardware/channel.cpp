#include "hardware/channel.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace railyard::harness {

int64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Channel::~Channel() {
  close_output();
  close(input_);
}

void Channel::close_output() {
  std::lock_guard lock(sending_);
  if (output_ >= 0 && output_ != input_) close(output_);
  output_ = -1;
}

bool Channel::send(const nlohmann::json& message) {
  // Whatever bytes a program printed must not break the line.
  std::string line = message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::lock_guard lock(sending_);
  for (size_t sent = 0; sent < line.size();) {
    ssize_t count = output_ < 0 ? -1 : write(output_, line.data() + sent, line.size() - sent);
    if (count < 0 && output_ >= 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

std::optional<std::string> Channel::line() {
  size_t end = buffer_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string first = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return first;
}

std::optional<nlohmann::json> Channel::receive(int timeout_ms) {
  int64_t deadline = monotonic_ns() + timeout_ms * 1'000'000LL;
  for (;;) {
    while (auto text = line()) {
      nlohmann::json message = nlohmann::json::parse(*text, nullptr, false);
      if (message.is_object()) return message;
    }
    if (ended_) return std::nullopt;
    int64_t left_ms = (deadline - monotonic_ns() + 999'999) / 1'000'000;
    pollfd readable{input_, POLLIN, 0};
    int ready = poll(&readable, 1, static_cast<int>(left_ms > 0 ? left_ms : 0));
    if (ready < 0 && errno == EINTR) return std::nullopt;
    if (ready <= 0) return std::nullopt;
    char bytes[65536];
    ssize_t count = read(input_, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      ended_ = true;
    } else {
      buffer_.append(bytes, static_cast<size_t>(count));
    }
  }
}

}  // namespace railyard::harness
