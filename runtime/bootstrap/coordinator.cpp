// Rank 0's end of the side channel: it listens, gathers every rank's part of an exchange, and
// passes on the first failure to all.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>

#include "bootstrap/side_channel_base.h"
#include "bootstrap/wire.h"

namespace railyard {

namespace {

using boost::asio::ip::tcp;

// How often ranks that wait are told for whom.
constexpr std::chrono::milliseconds kWaitingNotice{200};
constexpr std::chrono::milliseconds kAcceptRetry{50};

class Coordinator : public SideChannelBase {
 public:
  explicit Coordinator(const Options& options)
      : SideChannelBase(options), acceptor_(io_), notice_(io_), retry_(io_) {
    members_.resize(static_cast<size_t>(options.size));
    parts_.resize(static_cast<size_t>(options.size));
    listen();
    start();
    post([this] { accept(); });
  }

  ~Coordinator() override {
    // The others hear of each other through this rank: it goes last, unless something has failed.
    leave();
    std::unique_lock lock(mutex_);
    wait(lock, goodbye_end_, [&] { return members_alive_ == 0; });
    lock.unlock();
    flush(goodbye_end_, [this] {
      return std::all_of(members_.begin(), members_.end(),
                         [](const auto& member) { return !member || member->idle(); });
    });
    stop();
  }

  void leave() override {
    if (goodbye_end_ != Clock::time_point{}) return;
    goodbye_end_ = Clock::now() + kGoodbye;
    post([this] {
      send_to_all(MessageType::left, WireWriter().put(int32_t{0}).take());
      leave_neighbours();
    });
    std::unique_lock lock(mutex_);
    wait(lock, goodbye_end_, [&] { return all_others_left(); });
  }

  std::vector<std::string> exchange(const std::string& mine, const std::string& what,
                                    Clock::time_point deadline) override {
    std::unique_lock lock(mutex_);
    parts_[0] = mine;
    auto round = round_;
    complete_if_all_there();
    if (wait(lock, deadline, [&] { return round_ != round; })) return result_;
    std::vector<int> missing = missing_ranks();
    lock.unlock();
    if (!has_news()) {
      report({ErrorCode::deadline_exceeded, 0, missing.front(),
              fmt::format("{} did not come {} within {} ms", list_of_ranks(missing), what,
                          options_.deadline.count())});
    }
    throw to_error(news(), "bootstrap", 0);
  }

  void report(const News& news) override {
    if (!keep(news)) return;
    post([this, text = pack(news)] { send_to_all(MessageType::failure, text); });
  }

 private:
  void listen() {
    auto endpoint = config::parse_endpoint("coordinator", options_.coordinator);
    try {
      tcp::endpoint address(boost::asio::ip::make_address(endpoint.ip), endpoint.port);
      if (options_.listener >= 0) {
        acceptor_.assign(address.protocol(), options_.listener);
        return;
      }
      acceptor_.open(address.protocol());
      acceptor_.set_option(tcp::acceptor::reuse_address(true));
      acceptor_.bind(address);
      acceptor_.listen(options_.size + 16);
    } catch (const boost::system::system_error& error) {
      ErrorFields fields;
      fields.operation = "bootstrap";
      fields.error_number = error.code().value();
      throw railyard::Error(
          ErrorCode::side_channel_lost,
          fmt::format("bootstrap: rank 0 cannot listen on {}: {}; choose an address "
                      "of this machine and a free port",
                      options_.coordinator, error.code().message()),
          fields);
    }
  }

  void accept() {
    acceptor_.async_accept([this](Connection::Error error, tcp::socket socket) {
      if (error == boost::asio::error::operation_aborted) return;
      if (error) return accept_later();
      auto connection = std::make_shared<Connection>(std::move(socket));
      connection->start(
          [this, seen = std::weak_ptr(connection)](SideMessage message) {
            if (auto alive = seen.lock()) greet(alive, message);
          },
          [](Connection::Error) {});
      accept();
    });
  }

  // For a while there may be no descriptors left.
  void accept_later() {
    retry_.expires_after(kAcceptRetry);
    retry_.async_wait([this](Connection::Error error) {
      if (!error) accept();
    });
  }

  // The first message of a connection. Who does not say hello is a stranger and none of our
  // business.
  void greet(const std::shared_ptr<Connection>& connection, const SideMessage& message) {
    WireReader reader(message.payload);
    if (message.type != MessageType::hello || reader.get<uint32_t>() != kSideChannelMagic) {
      return connection->close();
    }
    auto version = reader.get<uint32_t>();
    auto rank = reader.get<int32_t>();
    auto size = reader.get<int32_t>();
    std::string problem;
    if (version != kSideChannelVersion) {
      problem = fmt::format("speaks version {} of the side channel, rank 0 speaks version {}",
                            version, kSideChannelVersion);
    } else if (size != options_.size) {
      problem = fmt::format("has a group of {} ranks, rank 0 one of {}", size, options_.size);
    } else if (rank < 1 || rank >= options_.size) {
      problem = "is outside of the group";
    } else if (members_[static_cast<size_t>(rank)]) {
      problem = "is there twice";
    }
    if (!problem.empty()) {
      News refusal{ErrorCode::configuration, rank, rank, fmt::format("rank {} {}", rank, problem)};
      connection->send(MessageType::failure, pack(refusal));
      return report(refusal);
    }
    adopt(connection, rank);
  }

  void adopt(const std::shared_ptr<Connection>& connection, int rank) {
    members_[static_cast<size_t>(rank)] = connection;
    {
      std::lock_guard lock(mutex_);
      ++members_alive_;
    }
    if (has_news()) connection->send(MessageType::failure, pack(news()));
    connection->on_message([this, rank](SideMessage message) { hear(rank, message); });
    connection->on_close([this, rank](Connection::Error error) { lose(rank, error); });
  }

  void hear(int rank, const SideMessage& message) {
    if (message.type == MessageType::contribute) {
      std::lock_guard lock(mutex_);
      parts_[static_cast<size_t>(rank)] = message.payload;
      complete_if_all_there();
      if (!notice_armed_) arm_notice();
    } else if (message.type == MessageType::failure) {
      report(unpack_news(message.payload));
    } else if (message.type == MessageType::left) {
      note_left(rank);
      for (int other = 1; other < options_.size; ++other) {
        if (other != rank) send(other, MessageType::left, message.payload);
      }
    }
  }

  void lose(int rank, Connection::Error error) {
    {
      std::lock_guard lock(mutex_);
      --members_alive_;
      changed_.notify_all();
    }
    note_end(rank, error);
  }

  // Under the lock.
  void complete_if_all_there() {
    if (std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return !part; })) return;
    result_.clear();
    for (auto& part : parts_) {
      result_.push_back(std::move(*part));
      part.reset();
    }
    ++round_;
    changed_.notify_all();
    post([this, text = pack_parts(result_)] { send_to_all(MessageType::result, text); });
  }

  // Under the lock.
  std::vector<int> missing_ranks() const {
    std::vector<int> missing;
    for (int rank = 0; rank < options_.size; ++rank) {
      if (!parts_[static_cast<size_t>(rank)]) missing.push_back(rank);
    }
    return missing;
  }

  // Under the lock.
  void arm_notice() {
    notice_armed_ = true;
    notice_.expires_after(kWaitingNotice);
    notice_.async_wait([this](Connection::Error error) {
      if (error) return;
      std::lock_guard lock(mutex_);
      notice_armed_ = false;
      std::vector<int> missing = missing_ranks();
      if (missing.size() == parts_.size()) return;  // no exchange is open
      std::string text = pack_parts({list_of_ranks(missing)});
      for (int rank = 1; rank < options_.size; ++rank) {
        if (parts_[static_cast<size_t>(rank)]) send(rank, MessageType::waiting, text);
      }
      arm_notice();
    });
  }

  void send(int rank, MessageType type, const std::string& payload) {
    if (const auto& member = members_[static_cast<size_t>(rank)]) member->send(type, payload);
  }

  void send_to_all(MessageType type, const std::string& payload) {
    for (int rank = 1; rank < options_.size; ++rank) send(rank, type, payload);
  }

  Clock::time_point goodbye_end_{};
  tcp::acceptor acceptor_;
  boost::asio::steady_timer notice_, retry_;
  std::vector<std::shared_ptr<Connection>> members_;  // I/O thread; by rank, null for rank 0

  // Under the lock.
  std::vector<std::optional<std::string>> parts_;  // of the exchange that is open
  std::vector<std::string> result_;                // of the last one that is complete
  uint64_t round_ = 0;
  int members_alive_ = 0;
  bool notice_armed_ = false;
};

}  // namespace

std::unique_ptr<SideChannelBase> make_coordinator(const SideChannel::Options& options) {
  return std::make_unique<Coordinator>(options);
}

}  // namespace railyard
