// The TCP connection of every rank to rank 0: how ranks find each other, exchange addresses, notice
// that one of them is gone, and tell each other why they failed. For the last two each rank has a
// connection to the next one too (neighbours.h), so that they need no rank 0.
//
// A thread of its own keeps it going, so news passes through rank 0 also while rank 0 computes. The
// thread sleeps unless there is something to read or to write.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "railyard/error.h"

namespace railyard {

// The first failure of any rank.
struct News {
  ErrorCode code = ErrorCode::side_channel_lost;
  int origin = -1;  // the rank that noticed it
  int peer = -1;    // the rank it is about
  std::string message;
};

// All functions may be called from any thread; exchange() from one at a time.
class SideChannel {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    int rank = 0;
    int size = 1;
    std::string coordinator;  // "ip:port", where rank 0 listens
    std::chrono::milliseconds deadline{30'000};
    // Rank 0: a socket that listens there already and is taken over; -1: none.
    int listener = -1;
  };

  // Blocks until all ranks have joined. Rank 0 listens; the others try again until it does.
  // Throws Error naming the ranks that are missing when the deadline has passed.
  static std::unique_ptr<SideChannel> connect(const Options& options);

  // Returns within a second. Says goodbye if leave() has not.
  virtual ~SideChannel() = default;

  // Says goodbye to all, then waits until all others have said it too, there is news, or a second
  // has passed: a device's queues can be closed when nobody sends to them any more.
  virtual void leave() = 0;

  // Gives every rank the contributions of all, in the order of ranks; blocks until all have
  // contributed. `what` says in errors what was waited for ("to exchange addresses").
  virtual std::vector<std::string> exchange(const std::string& mine, const std::string& what,
                                            Clock::time_point deadline) = 0;

  // Whether news() has something; cheap enough for a polling loop.
  bool has_news() const { return has_news_.load(std::memory_order_acquire); }
  virtual News news() const = 0;
  // Waits for news, at most so long; returns has_news().
  virtual bool wait_for_news(std::chrono::milliseconds most) const = 0;

  // Tells all ranks of a failure, unless there was an earlier one. Does not block.
  virtual void report(const News& news) = 0;

  // Whether this rank has said goodbye.
  virtual bool has_left(int rank) const = 0;

 protected:
  std::atomic<bool> has_news_{false};
};

// What `rank` throws on hearing this while it is in `operation`.
Error to_error(const News& news, const std::string& operation, int rank);

// "rank 3" or "ranks 1, 2 and 3".
std::string list_of_ranks(const std::vector<int>& ranks);

}  // namespace railyard
