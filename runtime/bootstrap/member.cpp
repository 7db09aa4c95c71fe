// The end of the side channel of every rank but 0.
#include <fmt/format.h>

#include <boost/asio/connect.hpp>

#include "bootstrap/side_channel_base.h"
#include "bootstrap/wire.h"

namespace railyard {

namespace {

using boost::asio::ip::tcp;

constexpr std::chrono::milliseconds kConnectAttempt{1000};
constexpr std::chrono::milliseconds kBetweenAttempts{20};
// A member waits a little longer than rank 0, because rank 0 knows more about what is missing.
constexpr std::chrono::milliseconds kPatience{500};

class Member : public SideChannelBase {
 public:
  explicit Member(const Options& options) : SideChannelBase(options) {
    connection_ = std::make_shared<Connection>(reach_coordinator());
    connection_->start([this](SideMessage message) { hear(message); },
                       [this](Connection::Error error) { lose(error); });
    connection_->send(MessageType::hello, WireWriter()
                                              .put(kSideChannelMagic)
                                              .put(kSideChannelVersion)
                                              .put(static_cast<int32_t>(options.rank))
                                              .put(static_cast<int32_t>(options.size))
                                              .take());
    start();
  }

  ~Member() override {
    leave();
    flush(goodbye_end_, [this] { return connection_->idle(); });
    stop();
  }

  void leave() override {
    if (goodbye_end_ != Clock::time_point{}) return;
    goodbye_end_ = Clock::now() + kGoodbye;
    post([this] {
      connection_->send(MessageType::left,
                        WireWriter().put(static_cast<int32_t>(options_.rank)).take());
      leave_neighbours();
    });
    std::unique_lock lock(mutex_);
    wait(lock, goodbye_end_, [&] { return all_others_left() || coordinator_gone_; });
  }

  std::vector<std::string> exchange(const std::string& mine, const std::string& what,
                                    Clock::time_point deadline) override {
    std::unique_lock lock(mutex_);
    result_.reset();
    waiting_for_.clear();
    post([this, mine] { connection_->send(MessageType::contribute, mine); });
    if (wait(lock, deadline + kPatience, [&] { return result_.has_value(); })) return *result_;
    std::string whom = waiting_for_;
    lock.unlock();
    if (!has_news()) {
      News late{ErrorCode::deadline_exceeded, options_.rank, 0, {}};
      late.message = whom.empty() ? fmt::format("rank 0 did not answer {} within {} ms", what,
                                                options_.deadline.count())
                                  : fmt::format("{} did not come {} within {} ms", whom, what,
                                                options_.deadline.count());
      report(late);
    }
    throw to_error(news(), "bootstrap", options_.rank);
  }

  void report(const News& news) override {
    if (!keep(news)) return;
    post([this, text = pack(news)] { connection_->send(MessageType::failure, text); });
  }

 private:
  // Tries until the deadline: rank 0 may start later than this rank.
  tcp::socket reach_coordinator() {
    auto endpoint = config::parse_endpoint("coordinator", options_.coordinator);
    tcp::endpoint address(boost::asio::ip::make_address(endpoint.ip), endpoint.port);
    auto deadline = Clock::now() + options_.deadline;
    for (;;) {
      tcp::socket socket(io_);
      Connection::Error error = try_once(socket, address, deadline);
      if (!error) return socket;
      if (Clock::now() + kBetweenAttempts >= deadline) {
        ErrorFields fields;
        fields.operation = "bootstrap";
        fields.peer = 0;
        fields.error_number = error.value();
        throw railyard::Error(
            ErrorCode::side_channel_lost,
            fmt::format("bootstrap: rank {} cannot reach rank 0 at {} within {} ms: {}",
                        options_.rank, options_.coordinator, options_.deadline.count(),
                        error.message()),
            fields);
      }
      std::this_thread::sleep_for(kBetweenAttempts);
    }
  }

  Connection::Error try_once(tcp::socket& socket, const tcp::endpoint& address,
                             Clock::time_point deadline) {
    std::optional<Connection::Error> result;
    socket.async_connect(address, [&](Connection::Error error) { result = error; });
    io_.restart();
    auto end = std::min(deadline, Clock::now() + kConnectAttempt);
    while (!result && Clock::now() < end) io_.run_one_until(end);
    if (result && !*result && socket.local_endpoint() == socket.remote_endpoint()) {
      // Nobody listens, and the system happened to choose the coordinator's port for this end.
      result = boost::asio::error::connection_refused;
    }
    if (result) return *result;
    Connection::Error ignored;
    socket.close(ignored);
    while (!result) io_.run_one();  // the handler refers to this frame
    return boost::asio::error::timed_out;
  }

  void hear(const SideMessage& message) {
    if (message.type == MessageType::failure) {
      keep(unpack_news(message.payload));
    } else if (message.type == MessageType::left) {
      note_left(WireReader(message.payload).get<int32_t>());
    } else if (message.type == MessageType::result) {
      std::lock_guard lock(mutex_);
      result_ = unpack_parts(message.payload);
      changed_.notify_all();
    } else if (message.type == MessageType::waiting) {
      std::lock_guard lock(mutex_);
      waiting_for_ = unpack_parts(message.payload).at(0);
    }
  }

  void lose(Connection::Error error) {
    {
      std::lock_guard lock(mutex_);
      coordinator_gone_ = true;
      changed_.notify_all();
    }
    note_end(0, error);
  }

  Clock::time_point goodbye_end_{};
  std::shared_ptr<Connection> connection_;  // used in the I/O thread

  // Under the lock.
  std::optional<std::vector<std::string>> result_;
  std::string waiting_for_;
  bool coordinator_gone_ = false;
};

}  // namespace

std::unique_ptr<SideChannelBase> make_member(const SideChannel::Options& options) {
  return std::make_unique<Member>(options);
}

}  // namespace railyard
