// What both ends of the side channel share: the I/O thread, the news, and waiting with a deadline.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "bootstrap/connection.h"
#include "bootstrap/neighbours.h"
#include "bootstrap/side_channel.h"
#include "config/endpoint.h"

namespace railyard {

inline constexpr uint32_t kSideChannelMagic = 0x44594c52;  // "RLYD"
inline constexpr uint32_t kSideChannelVersion = 2;
// How long a goodbye may take in all.
inline constexpr std::chrono::milliseconds kGoodbye{1000};

class SideChannelBase : public SideChannel {
 public:
  ~SideChannelBase() override;  // stop() was called

  // Waits until all ranks are here, and connects with the neighbours.
  void join();

  News news() const override;
  bool wait_for_news(std::chrono::milliseconds most) const override;
  bool has_left(int rank) const override;

 protected:
  explicit SideChannelBase(const Options& options);

  void start();  // the I/O thread
  void stop();   // ends it, whatever it waits for

  // Runs in the I/O thread.
  void post(std::function<void()> work);
  // Keeps the first news, wakes who waits and tells the neighbours; returns whether it was the
  // first.
  bool keep(const News& news);
  // Says goodbye to the neighbours. In the I/O thread.
  void leave_neighbours();
  // The connection to a rank has ended. In the I/O thread.
  void note_end(int rank, Connection::Error error);
  // As note_end(), once what the rank may have said to rank 0 has had time to come.
  void note_end_of_neighbour(int rank);
  // Waits until all that was sent has left this process; `idle` (called in the I/O thread) says so
  // of the connections of the derived class.
  void flush(Clock::time_point deadline, const std::function<bool()>& idle);
  void note_left(int rank);
  bool all_others_left() const;  // under the lock
  // Waits until `ready` (called under the lock), news, or the deadline. True when ready.
  bool wait(std::unique_lock<std::mutex>& lock, Clock::time_point deadline,
            const std::function<bool()>& ready);

  const Options options_;
  boost::asio::io_context io_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;

 private:
  std::optional<News> news_;
  std::vector<bool> left_;
  std::unique_ptr<Neighbours> neighbours_;  // I/O thread; null in small groups
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

std::string pack(const News& news);
News unpack_news(const std::string& payload);
std::string pack_parts(const std::vector<std::string>& parts);
std::vector<std::string> unpack_parts(const std::string& payload);

// The two ends. A member blocks until it has reached the coordinator.
std::unique_ptr<SideChannelBase> make_coordinator(const SideChannel::Options& options);
std::unique_ptr<SideChannelBase> make_member(const SideChannel::Options& options);

}  // namespace railyard
