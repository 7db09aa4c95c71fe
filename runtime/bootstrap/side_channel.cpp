#include "bootstrap/side_channel.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>

#include "bootstrap/side_channel_base.h"
#include "bootstrap/wire.h"

namespace railyard {

namespace {

// What a rank said before it closed may come later than the end of its connection to a neighbour,
// which may not even have been up yet: it passes through rank 0.
constexpr std::chrono::milliseconds kLastWords{100};

}  // namespace

std::unique_ptr<SideChannel> SideChannel::connect(const Options& options) {
  auto channel = options.rank == 0 ? make_coordinator(options) : make_member(options);
  channel->join();
  return channel;
}

std::string list_of_ranks(const std::vector<int>& ranks) {
  if (ranks.empty()) return "no rank";
  std::string list = fmt::format("rank{} {}", ranks.size() > 1 ? "s" : "", ranks.front());
  for (size_t i = 1; i < ranks.size(); ++i) {
    list += fmt::format("{}{}", i + 1 == ranks.size() ? " and " : ", ", ranks[i]);
  }
  return list;
}

Error to_error(const News& news, const std::string& operation, int rank) {
  ErrorFields fields;
  fields.operation = operation;
  fields.peer = news.peer;
  // What a rank says about this one is here an error of talking to that rank.
  if (news.peer == rank || news.peer < 0) fields.peer = news.origin == rank ? -1 : news.origin;
  fields.origin = news.origin == rank ? -1 : news.origin;
  if (news.origin == rank || news.origin == news.peer) {
    return {news.code, fmt::format("{}: {}", operation, news.message), fields};
  }
  return {news.code,
          fmt::format("{}: rank {} failed first: {}", operation, news.origin, news.message),
          fields};
}

std::string pack(const News& news) {
  return WireWriter()
      .put(news.code)
      .put(static_cast<int32_t>(news.origin))
      .put(static_cast<int32_t>(news.peer))
      .put(news.message)
      .take();
}

News unpack_news(const std::string& payload) {
  WireReader reader(payload);
  News news;
  news.code = reader.get<ErrorCode>();
  news.origin = reader.get<int32_t>();
  news.peer = reader.get<int32_t>();
  news.message = reader.text();
  return news;
}

std::string pack_parts(const std::vector<std::string>& parts) {
  WireWriter writer;
  for (const std::string& part : parts) writer.put(part);
  return writer.take();
}

std::vector<std::string> unpack_parts(const std::string& payload) {
  std::vector<std::string> parts;
  for (WireReader reader(payload); !reader.empty();) parts.push_back(reader.text());
  return parts;
}

SideChannelBase::SideChannelBase(const Options& options)
    : options_(options),
      left_(static_cast<size_t>(options.size), false),
      work_(boost::asio::make_work_guard(io_)) {}

SideChannelBase::~SideChannelBase() { stop(); }

void SideChannelBase::start() {
  thread_ = std::thread([this] { io_.run(); });
}

void SideChannelBase::stop() {
  work_.reset();
  io_.stop();
  if (thread_.joinable()) thread_.join();
}

void SideChannelBase::post(std::function<void()> work) { boost::asio::post(io_, std::move(work)); }

bool SideChannelBase::keep(const News& news) {
  std::lock_guard lock(mutex_);
  if (news_) return false;
  news_ = news;
  has_news_.store(true, std::memory_order_release);
  changed_.notify_all();
  post([this, text = pack(news)] {
    if (neighbours_) neighbours_->tell(MessageType::failure, text);
  });
  return true;
}

void SideChannelBase::join() {
  auto deadline = Clock::now() + options_.deadline;
  // Of two ranks each hears of the other anyway.
  if (options_.size < 3) {
    exchange("", "to join", deadline);
    return;
  }
  auto door = Door::open(options_.coordinator);
  auto invitations = exchange(door->invitation(), "to join", deadline);
  auto next = static_cast<size_t>((options_.rank + 1) % options_.size);
  post([this, door, invitation = invitations.at(next)] {
    Neighbours::Handlers handlers{[this](int rank, const SideMessage& message) {
                                    if (message.type == MessageType::left) note_left(rank);
                                    if (message.type == MessageType::failure)
                                      report(unpack_news(message.payload));
                                  },
                                  [this](int rank) { note_end_of_neighbour(rank); }};
    neighbours_ =
        std::make_unique<Neighbours>(io_, options_.rank, options_.size, std::move(handlers));
    neighbours_->let_in(*door);
    neighbours_->go_to_next(invitation);
  });
}

void SideChannelBase::leave_neighbours() {
  if (neighbours_) neighbours_->tell(MessageType::left, {});
}

void SideChannelBase::note_end(int rank, Connection::Error error) {
  if (has_left(rank)) return;
  bool closed = error == boost::asio::error::eof || error == boost::asio::error::connection_reset;
  report({closed ? ErrorCode::peer_dead : ErrorCode::side_channel_lost, rank, rank,
          closed
              ? fmt::format("rank {} is dead: it closed its side channel without a goodbye", rank)
              : fmt::format("the side channel to rank {} is lost: {}", rank, error.message())});
}

void SideChannelBase::note_end_of_neighbour(int rank) {
  auto timer = std::make_shared<boost::asio::steady_timer>(io_, kLastWords);
  timer->async_wait([this, rank, timer](Connection::Error error) {
    if (!error) note_end(rank, boost::asio::error::eof);
  });
}

void SideChannelBase::flush(Clock::time_point deadline, const std::function<bool()>& idle) {
  auto flushed = [&] {
    std::promise<bool> answer;
    post([&] { answer.set_value(idle() && (!neighbours_ || neighbours_->idle())); });
    return answer.get_future().get();
  };
  while (Clock::now() < deadline && !flushed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

News SideChannelBase::news() const {
  std::lock_guard lock(mutex_);
  return news_.value_or(News{});
}

bool SideChannelBase::wait_for_news(std::chrono::milliseconds most) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [&] { return news_.has_value(); });
}

void SideChannelBase::note_left(int rank) {
  std::lock_guard lock(mutex_);
  if (rank >= 0 && rank < options_.size) left_[static_cast<size_t>(rank)] = true;
  changed_.notify_all();
}

bool SideChannelBase::all_others_left() const {
  for (int rank = 0; rank < options_.size; ++rank) {
    if (rank != options_.rank && !left_[static_cast<size_t>(rank)]) return false;
  }
  return true;
}

bool SideChannelBase::has_left(int rank) const {
  std::lock_guard lock(mutex_);
  return left_[static_cast<size_t>(rank)];
}

bool SideChannelBase::wait(std::unique_lock<std::mutex>& lock, Clock::time_point deadline,
                           const std::function<bool()>& ready) {
  changed_.wait_until(lock, deadline, [&] { return ready() || news_.has_value(); });
  return ready();
}

}  // namespace railyard
