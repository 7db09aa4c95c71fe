// What moves messages for one group: its links, and the loop that waits for them with one eye on
// the side channel and the deadline.
#pragma once

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "bootstrap/side_channel.h"
#include "railyard/config.h"
#include "transport/arena.h"
#include "transport/link.h"

namespace railyard {

// The ranks of a group on this machine, and the processors that are theirs.
struct Crowd {
  int ranks = 0, processors = 0;

  bool large() const { return ranks > 2 * processors; }
};

// Not thread-safe: its group serialises calls.
class Engine {
 public:
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // By rank; the rails of a rank that is no peer are empty.
  Link& link(int rank) { return links_[static_cast<size_t>(rank)]; }

  // What the operation about to run keeps about itself.
  Arena& arena() { return arena_; }

  // Whether large messages are sent from where they lie in a buffer that is lent, rather than
  // received there alone.
  virtual bool sends_in_place() const { return false; }
  // A buffer of the caller's that large messages may be sent from and received into until the end
  // of the next run().
  void lend(std::byte* data, size_t bytes) {
    lent_ = true;
    lend_to_devices(data, bytes);
  }

  // Moves messages and calls `operation.step()`, which does what has become possible and returns
  // whether all is done. Throws the first of: an error of a rail, news of another rank's failure,
  // the deadline.
  template <typename Operation>
  void run(Operation& operation) {
    Finish finish{*this};
    Watch watch(*this, operation.name());
    for (uint32_t round = 1; !operation.step(); ++round) {
      const Rail* only = nullptr;
      if constexpr (requires { operation.only_rail(); }) only = operation.only_rail();
      bool came = look(only, round);
      // Who waits for one message has nothing to do before it has come.
      while (only && !came && round % kRoundsBetweenChecks != 0) came = look(only, ++round);
      watch.moved |= came;
      if (round % kRoundsBetweenChecks == 0) watch.check(operation.waits_for());
    }
  }

  // Where ranks share processors, who waits lets others go on: at once where many share one; where
  // two do, the one that is waited for is often running on another, and its message about to come.
  // Where every processor has two, they would otherwise fall out of step for the rest of a run, and
  // a small all_sum of four take 4.2 us instead of 3.2; where some have one, those who share wait
  // in vain. In a great crowd a rank may sleep instead.
  void set_crowd(const Crowd& here, bool crowded_somewhere) {
    crowded_ = crowded_somewhere;
    rounds_to_yield_ = here.ranks <= here.processors      ? 0
                       : here.large()                     ? 1
                       : here.ranks < 2 * here.processors ? 16
                                                          : 32;
    may_nap_ = here.ranks > 8 * here.processors;
  }
  // Whether many ranks share a processor on any machine: the same answer for all of them.
  bool crowded() const { return crowded_; }

  // Before destruction: waits until what was sent has left, or nothing moves for half a second.
  void drain() noexcept;
  // After all ranks have said goodbye: reads what crossed it, credits mostly, so that nothing is
  // left unread.
  virtual void read_rest() noexcept {}

 protected:
  Engine(const Config& config, SideChannel& side_channel)
      : config_(config), side_channel_(side_channel), links_(static_cast<size_t>(config.size())) {}

  // Takes what has come and posts what can go; returns whether that was anything. `only`: the rail
  // of the small message that is waited for, where nothing else is; the others are looked at now
  // and then.
  virtual bool poll(const Rail* only) = 0;
  bool poll() { return poll(nullptr); }
  virtual void lend_to_devices(std::byte*, size_t) {}
  // No buffer is lent any more.
  virtual void take_back() {}

  const Config& config_;
  SideChannel& side_channel_;
  std::vector<Link> links_;

 private:
  // Notices when an operation waits for something that will not come.
  class Watch {
   public:
    Watch(Engine& engine, const char* operation) : engine_(engine), operation_(operation) {}
    // `rail` is what the operation waits for, null for none in particular.
    void check(const Rail* rail);

    bool moved = false;  // has anything, since the check before

   private:
    [[noreturn]] void fail_unreachable(const Rail* rail) const;
    [[noreturn]] void fail_broken(const Rail& rail) const;
    [[noreturn]] void fail_left(const Rail& rail) const;

    Engine& engine_;
    const char* operation_;
    // Of the first check: short operations never read the clock.
    std::chrono::steady_clock::time_point start_{}, looked_at_{}, left_at_{};
    const Rail* waits_for_ = nullptr;  // of the check before
  };

  // However an operation ends.
  struct Finish {
    Engine& engine;
    ~Finish() {
      if (engine.lent_) engine.take_back();
      engine.lent_ = false;
      engine.arena_.reset();
    }
  };

  static constexpr uint32_t kRoundsBetweenChecks = 64;
  bool sends_pending() const;
  // nullptr: there is none, or more than one.
  const Rail* only_rail_to(int rank) const;
  bool look(const Rail* only, uint32_t round) {
    if (poll(only)) return true;
    if (rounds_to_yield_ != 0 && round % rounds_to_yield_ == 0) let_others_on();
    return false;
  }
  void let_others_on() {
    if (may_nap_) return yield_or_nap();
    std::this_thread::yield();
  }
  void yield_or_nap();

  Arena arena_;
  bool lent_ = false;  // a buffer, for the operation that runs or is about to
  bool crowded_ = false;
  uint32_t rounds_to_yield_ = 0;  // of looks that find nothing; 0: never
  bool may_nap_ = false;
  uint32_t naps_ = 0;  // so often a nap takes the place of a yield
};

}  // namespace railyard
