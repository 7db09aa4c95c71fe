#include "cluster/relay.h"

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/reserved_port.h"

namespace railyard::harness {

namespace {

using boost::asio::ip::tcp;
using Code = boost::system::error_code;

constexpr std::chrono::milliseconds kTargetRetry{5};

tcp::endpoint endpoint_of(const std::string& address, int port) {
  return {boost::asio::ip::make_address(address), static_cast<uint16_t>(port)};
}

tcp::endpoint local(int port) {
  return {boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(port)};
}

// Ends at once what a socket does: listening, or a connection, whose other end is told that it was
// reset. Closing it would, too, but only when no child that was forked meanwhile holds it any more.
// Where the system knows no such call, closing has to do.
void disconnect(int socket) {
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  ::connect(socket, &nobody, sizeof nobody);
}

struct Mood {
  bool hang = false;
  std::chrono::nanoseconds delay{0};
  Relay::Counts counts;
  int waiting = 0;  // delayed pieces
};

// One connection of a rank, with a pump for each direction. Lives as long as a handler refers to
// it.
class Passage : public std::enable_shared_from_this<Passage> {
 public:
  Passage(tcp::socket client, Mood& mood, const tcp::endpoint& target)
      : client_(std::move(client)),
        server_(client_.get_executor()),
        mood_(mood),
        target_(target),
        timer_(client_.get_executor()),
        pumps_{Pump{client_, server_}, Pump{server_, client_}} {}

  void begin() {
    read(pumps_[0]);
    reach_target();
  }

  // Rank 0 may not listen yet; the rank that came early is kept waiting.
  void reach_target() {
    server_.async_connect(target_, [self = shared_from_this()](Code error) {
      if (!self->client_.is_open()) return;
      if (!error) return self->start();
      Code ignored;
      self->server_.close(ignored);
      self->timer_.expires_after(kTargetRetry);
      self->timer_.async_wait([self](Code stopped) {
        if (!stopped) self->reach_target();
      });
    });
  }

  bool cut() {
    bool open = client_.is_open();
    Code ignored;
    client_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
    if (open) disconnect(client_.native_handle());
    close();
    return open;
  }

  void wake() {
    if (!reached_) return;
    for (Pump& pump : pumps_) {
      if (!pump.parked) continue;
      pump.parked = false;
      pass_on(pump);
    }
  }

 private:
  struct Pump {
    Pump(tcp::socket& source, tcp::socket& sink)
        : from(source), to(sink), timer(source.get_executor()) {}
    tcp::socket& from;
    tcp::socket& to;
    boost::asio::steady_timer timer;
    std::array<char, 16384> buffer;
    size_t bytes = 0;
    bool ended = false;
    bool parked = false;    // holds what it has read until there is a way on
    bool withheld = false;  // and the hanging was the reason
  };

  void start() {
    reached_ = true;
    read(pumps_[1]);
    wake();
  }

  void read(Pump& pump) {
    pump.withheld = false;
    pump.from.async_read_some(boost::asio::buffer(pump.buffer),
                              [self = shared_from_this(), &pump](Code error, size_t bytes) {
                                pump.bytes = bytes;
                                pump.ended = static_cast<bool>(error);
                                self->arrived(pump);
                              });
  }

  void arrived(Pump& pump) {
    if (!client_.is_open()) return;
    if (mood_.delay.count() == 0 || pump.ended) return pass_on(pump);
    ++mood_.counts.delayed;
    ++mood_.waiting;
    pump.timer.expires_after(mood_.delay);
    pump.timer.async_wait([self = shared_from_this(), &pump](Code) {
      --self->mood_.waiting;
      self->pass_on(pump);
    });
  }

  void pass_on(Pump& pump) {
    if (!client_.is_open()) return;
    pump.parked = mood_.hang || !reached_;
    if (mood_.hang && !std::exchange(pump.withheld, true)) {
      mood_.counts.withheld_bytes += pump.bytes;
      mood_.counts.withheld_ends += pump.ended;
    }
    if (pump.parked) return;
    if (pump.ended) {
      Code ignored;
      pump.to.shutdown(tcp::socket::shutdown_send, ignored);
      if (++ends_ == 2) close();
      return;
    }
    boost::asio::async_write(pump.to, boost::asio::buffer(pump.buffer.data(), pump.bytes),
                             [self = shared_from_this(), &pump](Code error, size_t) {
                               if (error) return self->close();
                               self->read(pump);
                             });
  }

  void close() {
    Code ignored;
    timer_.cancel();
    client_.close(ignored);
    server_.close(ignored);
  }

  tcp::socket client_, server_;
  Mood& mood_;
  tcp::endpoint target_;
  boost::asio::steady_timer timer_;
  Pump pumps_[2];
  bool reached_ = false;  // rank 0
  int ends_ = 0;
};

// One rank's port.
class Gate {
 public:
  Gate(boost::asio::io_context& io, const tcp::endpoint& target) : acceptor_(io), target_(target) {
    listen();
  }

  int port() const { return port_.number(); }
  Mood& mood() { return mood_; }

  void refuse(bool on) {
    // The reserved port is bound but does not listen: it refuses, and nobody else is given it.
    if (on) {
      Code ignored;
      if (acceptor_.is_open()) disconnect(acceptor_.native_handle());
      acceptor_.close(ignored);
    } else if (!acceptor_.is_open()) {
      listen();
    }
  }

  void cut() {
    for (auto& each : passages_) {
      if (auto passage = each.lock()) mood_.counts.cut += passage->cut();
    }
    passages_.clear();
  }

  void hang(bool on) {
    mood_.hang = on;
    if (on) return;
    for (auto& each : passages_) {
      if (auto passage = each.lock()) passage->wake();
    }
  }

 private:
  void listen() {
    acceptor_.open(tcp::v4());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(local(port()));
    acceptor_.listen();
    accept();
  }

  void accept() {
    acceptor_.async_accept([this](Code error, tcp::socket socket) {
      if (error) return;
      ++mood_.counts.accepted;
      auto passage = std::make_shared<Passage>(std::move(socket), mood_, target_);
      passages_.push_back(passage);
      passage->begin();
      accept();
    });
  }

  ReservedPort port_{true};
  tcp::acceptor acceptor_;
  tcp::endpoint target_;
  Mood mood_;
  std::list<std::weak_ptr<Passage>> passages_;
};

}  // namespace

struct Relay::State {
  boost::asio::io_context io;
  std::vector<std::unique_ptr<Gate>> gates;  // of rank 1 and on
  int target = 0;
  std::thread thread;

  // Runs on the relay's own thread, for the gates of `rank`, and waits for it.
  template <typename Do>
  void at(int rank, Do act) {
    std::promise<void> done;
    boost::asio::post(io, [&] {
      try {
        for (size_t i = 0; i < gates.size(); ++i) {
          if (rank < 0 || static_cast<size_t>(rank) == i + 1) act(*gates[i]);
        }
        done.set_value();
      } catch (...) {
        done.set_exception(std::current_exception());
      }
    });
    done.get_future().get();
  }
};

Relay::Relay(int ranks, int target_port, const std::string& target)
    : state_(std::make_unique<State>()) {
  state_->target = target_port;
  for (int rank = 1; rank < ranks; ++rank) {
    state_->gates.push_back(std::make_unique<Gate>(state_->io, endpoint_of(target, target_port)));
  }
  state_->thread = std::thread([this] {
    auto work = boost::asio::make_work_guard(state_->io);
    state_->io.run();
  });
}

Relay::~Relay() {
  state_->io.stop();
  state_->thread.join();
}

int Relay::port(int rank) const {
  return rank == 0 ? state_->target : state_->gates[static_cast<size_t>(rank - 1)]->port();
}

void Relay::refuse(int rank, bool on) {
  state_->at(rank, [on](Gate& gate) { gate.refuse(on); });
}
void Relay::cut(int rank) {
  state_->at(rank, [](Gate& gate) { gate.cut(); });
}
void Relay::hang(int rank, bool on) {
  state_->at(rank, [on](Gate& gate) { gate.hang(on); });
}
void Relay::slow(int rank, std::chrono::nanoseconds delay) {
  state_->at(rank, [delay](Gate& gate) { gate.mood().delay = delay; });
}

Relay::Counts Relay::counts(int rank) const {
  Counts sum;
  state_->at(rank, [&](Gate& gate) {
    const Counts& each = gate.mood().counts;
    sum.accepted += each.accepted;
    sum.cut += each.cut;
    sum.withheld_bytes += each.withheld_bytes;
    sum.withheld_ends += each.withheld_ends;
    sum.delayed += each.delayed;
  });
  return sum;
}

bool Relay::delaying() const {
  bool any = false;
  state_->at(-1, [&](Gate& gate) { any = any || gate.mood().waiting > 0; });
  return any;
}

}  // namespace railyard::harness
