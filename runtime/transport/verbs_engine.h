// An engine over RDMA: devices, their completion queues and memory, and the rails over them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "transport/engine.h"
#include "transport/verbs_rail.h"

namespace railyard {

class VerbsEngine final : public Engine {
 public:
  // Opens the devices and makes at most `rails` rails to each of `peers`. Throws Error.
  VerbsEngine(const Config& config, const std::vector<int>& peers, int rails,
              SideChannel& side_channel);

  // Blocks until all ranks have posted their receives. Throws Error.
  void connect();

 private:
  struct Port {
    std::shared_ptr<Device> device;
    // Large messages have a queue of their own, which is looked at only while there are any.
    std::unique_ptr<CompletionQueue> small_completions, large_completions;
    std::vector<VerbsRail*> rails;
    std::unique_ptr<Slab> slab;
    std::unique_ptr<LentMemory> lent;
  };
  struct Addresses {
    size_t large_bytes = ~size_t{0};              // the least that any rank takes
    uint32_t rails = 1;                           // the most between any two ranks
    std::vector<std::vector<RailAddress>> to_me;  // by rank, then by rail
  };

  void open(const std::vector<int>& peers, int rails);
  std::vector<VerbsRail*> rails_to(int peer) const;
  Addresses read_addresses(const std::vector<std::string>& all) const;
  bool poll(const Rail* only) override;
  int poll(Port& port, CompletionQueue& queue);
  bool sends_in_place() const override {
    return rails_.empty() || rails_.front()->cut().rails == 1;
  }
  void lend_to_devices(std::byte* data, size_t bytes) override;
  void take_back() override;
  void read_rest() noexcept override;
  void take(const ibv_wc& completion);
  [[noreturn]] void fail_completion(const ibv_wc& completion, const Rail& rail);

  std::vector<Port> ports_;  // outlive the rails, whose queue pairs use them
  std::vector<std::unique_ptr<VerbsRail>> rails_;
  std::vector<size_t> port_of_rail_;  // by id
  bool several_rails_ = false;        // to one peer at least
  uint32_t narrow_polls_ = 0;
};

}  // namespace railyard
