// One process's view of a fabric's segment: tables by index, claims, blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fabric/layout.h"
#include "platform/shared_memory.h"
#include "platform/ticks.h"

namespace railyard::fabric {

// How long the messages of a queue pair that goes, by itself or with its process, are kept for those
// who have not looked yet.
inline constexpr double kUnreadNs = 100e6;

class Segment {
 public:
  // Lays out an empty fabric with so many of each; the caller fills the tables and calls publish().
  struct Counts {
    uint32_t nodes, devices, cables, switches;  // a device has one port
  };
  static Segment create(const std::string& name, const Counts& counts, const Profile& profile);

  // Throws fabric::Error: no such segment, another user's, another version's, not finished.
  static Segment open(const std::string& name);

  void publish() { header().ready.store(1, std::memory_order_release); }

  layout::SegmentHeader& header() const {
    return *reinterpret_cast<layout::SegmentHeader*>(memory_.data());
  }
  const Profile& profile() const { return header().profile; }
  const std::string& name() const { return name_; }

  layout::Node& node(uint32_t i) const { return at<layout::Node>(header().nodes, i); }
  layout::Device& device(uint32_t i) const { return at<layout::Device>(header().devices, i); }
  layout::Port& port(uint32_t i) const { return at<layout::Port>(header().ports, i); }
  layout::Cable& cable(uint32_t i) const { return at<layout::Cable>(header().cables, i); }
  layout::Switch& switch_at(uint32_t i) const { return at<layout::Switch>(header().switches, i); }
  layout::Process& process(uint32_t i) const { return at<layout::Process>(header().processes, i); }
  layout::Context& context(uint32_t i) const { return at<layout::Context>(header().contexts, i); }
  layout::QueuePair& queue_pair(uint32_t i) const {
    return at<layout::QueuePair>(header().queue_pairs, i);
  }
  layout::CompletionQueue& completion_queue(uint32_t i) const {
    return at<layout::CompletionQueue>(header().completion_queues, i);
  }
  layout::SharedQueue& shared_queue(uint32_t i) const {
    return at<layout::SharedQueue>(header().shared_queues, i);
  }
  layout::Share& share(uint32_t i) const { return at<layout::Share>(header().shares, i); }
  layout::Fault& fault(uint32_t i) const { return at<layout::Fault>(header().faults, i); }

  std::byte* bytes_at(uint64_t offset) const { return memory_.data() + offset; }
  // Whether all of these lie in it.
  bool holds(uint64_t offset, uint64_t bytes) const {
    return offset <= memory_.bytes() && bytes <= memory_.bytes() - offset;
  }
  const platform::SharedMemory& memory() const { return memory_; }

  // Time. Ticks are the hardware's, or the controller's when it owns time.
  uint64_t now_ticks() const {
    return header().gate.load(std::memory_order_relaxed) & layout::kGateSimulatedTime
               ? header().simulated_ticks.load(std::memory_order_acquire)
               : platform::ticks();
  }
  int64_t to_ns(uint64_t ticks) const {  // 0 stays 0: "never"
    return ticks == 0 ? 0
                      : static_cast<int64_t>(static_cast<double>(ticks - header().epoch_ticks) *
                                             1e9 / header().ticks_per_second);
  }
  uint64_t ticks_in_ns(double ns) const {
    return static_cast<uint64_t>(ns * header().ticks_per_second * 1e-9);
  }

  // Claims a record for `process`: std::nullopt when all are taken, or (errno ENOSPC) when the file
  // system that holds shared memory is full.
  std::optional<uint32_t> claim_process() const;
  std::optional<uint32_t> claim_context(uint32_t process) const;
  std::optional<uint32_t> claim_queue_pair(uint32_t process) const;
  std::optional<uint32_t> claim_completion_queue(uint32_t process) const;
  std::optional<uint32_t> claim_shared_queue(uint32_t process) const;
  std::optional<uint32_t> claim_share(uint32_t process) const;

  void give_back_context(uint32_t i) const {
    context(i).device.store(0, std::memory_order_relaxed);
    context(i).owner.store(0, std::memory_order_release);
  }
  void give_back_share(uint32_t i) const {
    share(i).domain.store(0, std::memory_order_release);
    share(i).owner.store(0, std::memory_order_release);
  }

  // The shared receive queue of that number in an XRC domain; nullptr: there is none.
  const layout::SharedQueue* find_shared_queue(uint64_t number, uint64_t domain) const;
  // Gives a queue pair that `process` owned to somebody who has a share in it, or back; whether it
  // lives on.
  bool hand_over(uint32_t queue_pair, uint32_t process) const;

  // A run of blocks with room for `bytes`, zeroed: its offset, or 0 when there is no room (errno
  // ENOSPC). Freed runs are used again as late as possible, as a peer may still look at them.
  uint64_t allocate(uint64_t bytes, uint32_t process) const;
  void release(uint64_t offset, uint64_t bytes) const;

  // A number for a life or a connection of a queue pair: 24 bits, not 0.
  uint64_t fresh_connection() const {
    uint64_t number;
    while ((number = header().next_connection.fetch_add(1) & 0xffffff) == 0) {
    }
    return number;
  }

  // Not found dead yet.
  bool live(uint32_t process) const {
    return layout::state_of(this->process(process).state.load(std::memory_order_acquire)) ==
           layout::kLive;
  }
  bool alive(uint32_t process) const;
  // Whether this queue pair's process, which lives, reaches into the memory of `process`.
  bool reaches_into(const layout::QueuePair& pair, uint32_t process) const;
  // Gives back what a dead process held: at once what nobody else looks at, and the messages that it put
  // on wires when its peers have had their chance to take them. May be called again and again, by many,
  // and by one that dies of it: nothing is done while another is at it.
  void reap(uint32_t process) const;
  // Reaps the owner of a record, as its word says it, if that is found dead.
  void reap_if_dead(const layout::Shared<uint32_t>& owner) const;
  // Reaps every process that is found dead.
  void reap_dead() const;
  // The rest of it for those that were found dead before.
  void reap_further() const;

 private:
  bool open_blocks(uint32_t end) const;
  void lose_context(uint32_t device) const;
  bool unread(const layout::QueuePair& pair) const;
  bool unread_of(uint32_t process) const;
  bool reached_into(uint32_t process) const;
  void give_back_claims(uint32_t process) const;
  void give_back_messages(uint32_t process) const;

  Segment(std::string name, platform::SharedMemory memory)
      : name_(std::move(name)), memory_(std::move(memory)) {}

  template <typename T>
  T& at(uint64_t offset, uint32_t index) const {
    return reinterpret_cast<T*>(memory_.data() + offset)[index];
  }
  layout::Shared<uint32_t>& block_owner(uint32_t i) const {
    return at<layout::Shared<uint32_t>>(header().block_owners, i);
  }
  template <typename T>
  bool commit(const T& record) const;
  template <typename T>
  std::optional<uint32_t> claim(T& (Segment::*table)(uint32_t) const, uint32_t first,
                                uint32_t count, layout::Shared<uint32_t>& used,
                                uint32_t process) const;
  const layout::Share* heir(uint32_t queue_pair) const;

  std::string name_;
  platform::SharedMemory memory_;
};

// What a device has of something now: the profile's number, or what a fault made of it. `most` 0 is
// no limit, kNothingLeft none at all.
inline constexpr int32_t kNothingLeft = -1;
Limit limit_of(const Segment& segment, uint32_t device, layout::Resource resource);

// A lock between processes that survives the death of its holder: what it guards must be right at
// every moment (it orders checks with the claims that follow from them, nothing else).
class RobustLock {
 public:
  RobustLock(const Segment& segment, layout::Shared<uint32_t>& word, uint32_t process)
      : word_(word) {
    take(segment, word, process);
  }
  ~RobustLock() { give_back(word_); }
  RobustLock(const RobustLock&) = delete;
  RobustLock& operator=(const RobustLock&) = delete;

  static void take(const Segment& segment, layout::Shared<uint32_t>& word, uint32_t process);
  static void give_back(layout::Shared<uint32_t>& word) {
    word.store(0, std::memory_order_release);
  }

 private:
  layout::Shared<uint32_t>& word_;
};

}  // namespace railyard::fabric
