// A device that this process has opened, and its one port.
#pragma once

#include <infiniband/verbs.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace railyard {

// How the rest of the fabric reaches this port.
struct PortAddress {
  ibv_gid gid{};
  int gid_index = 0;
  uint16_t lid = 0;  // InfiniBand only
};

// Shared by all groups of the process, because some devices allow one context only. Thread-safe.
class Device {
 public:
  // Opens the device, or returns the one that is open. Throws Error when it is not there, its port
  // is down, its GID table is empty, or opening it takes longer than `deadline` (a driver with one
  // context per device may block until the other holder closes its own).
  static std::shared_ptr<Device> open(const std::string& name, std::chrono::milliseconds deadline);

  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const std::string& name() const { return name_; }
  ibv_context* context() const { return context_; }
  ibv_pd* domain() const { return domain_; }
  const PortAddress& address() const { return address_; }
  ibv_mtu mtu() const { return port_.active_mtu; }
  uint32_t max_message_bytes() const { return port_.max_msg_sz; }

  // The deepest queue that may be asked for, in the unit of depth_of.
  uint32_t max_depth() const { return max_depth_; }

  // How many queue pairs this process has on the device.
  std::atomic<int>& queue_pairs() { return queue_pairs_; }

  // Since when the port is down, as far as the device's asynchronous events say. Reads them, which
  // is a system call: not for every round of a polling loop.
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> down_since();

  bool is_thunderbolt() const;
  // Thunderbolt devices size their queues in frames of 4 KiB, all others in requests.
  uint32_t depth_of(size_t message_bytes) const;

 private:
  Device(std::string name, ibv_context* context);
  void read_limits();
  void read_port();
  void find_gid();

  std::string name_;
  ibv_context* context_ = nullptr;
  ibv_pd* domain_ = nullptr;
  uint32_t max_depth_ = 0;
  ibv_port_attr port_{};
  PortAddress address_;
  std::atomic<int> queue_pairs_{0};
  std::mutex events_mutex_;
  std::optional<Clock::time_point> down_since_;
};

inline constexpr uint8_t kPort = 1;
inline constexpr size_t kFrameBytes = 4096;

}  // namespace railyard
