// Everything that moves messages for one group: its devices, their completion queues and memory,
// its rails, and the loop that waits for them with one eye on the side channel and the deadline.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "bootstrap/side_channel.h"
#include "railyard/config.h"
#include "transport/stream.h"

namespace railyard {

// Not thread-safe: its group serialises calls.
class Engine {
 public:
  // Opens the devices and connects to `peers`, on the first `rails` rails to each. Blocks until all
  // ranks have posted their receives. Throws Error.
  Engine(const Config& config, const std::vector<int>& peers, int rails, SideChannel& side_channel);

  // By rank; the rails of a rank that is no peer are empty.
  Link& link(int rank) { return links_[static_cast<size_t>(rank)]; }

  // Takes completions and calls `operation.step()`, which does what has become possible and returns
  // whether all is done. Throws the first of: an error of a completion, news of another rank's
  // failure, the deadline.
  template <typename Operation>
  void run(Operation& operation) {
    Watch watch(*this, operation.name());
    for (uint32_t round = 1;; ++round) {
      poll();
      if (operation.step()) return;
      if (round % kRoundsBetweenChecks == 0) watch.check(operation.waits_for());
    }
  }

  // Before destruction: waits, half a second at most, until what was sent has arrived.
  void drain() noexcept;

 private:
  struct Port {
    std::shared_ptr<Device> device;
    std::unique_ptr<CompletionQueue> completions;
    std::unique_ptr<Slab> slab;
  };

  // Notices when an operation waits for something that will not come.
  class Watch {
   public:
    Watch(Engine& engine, std::string operation);
    // `rail` is what the operation waits for, null for none in particular.
    void check(const Rail* rail);

   private:
    [[noreturn]] void fail_unreachable(const Rail* rail) const;
    [[noreturn]] void fail_left(const Rail& rail) const;

    Engine& engine_;
    std::string operation_;
    std::chrono::steady_clock::time_point start_, left_at_{};
  };

  static constexpr uint32_t kRoundsBetweenChecks = 64;

  void open(const std::vector<int>& peers, int rails);
  struct Addresses {
    size_t large_bytes = ~size_t{0};              // the least that any rank takes
    std::vector<std::vector<RailAddress>> to_me;  // by rank, then by rail
  };
  Addresses read_addresses(const std::vector<std::string>& all) const;
  void connect();
  void poll();
  void take(const ibv_wc& completion);
  [[noreturn]] void fail_completion(const ibv_wc& completion, const Rail& rail);

  const Config& config_;
  SideChannel& side_channel_;
  std::vector<Port> ports_;  // outlive the rails, whose queue pairs use them
  std::vector<std::unique_ptr<Rail>> rails_;
  std::vector<Link> links_;
};

}  // namespace railyard
