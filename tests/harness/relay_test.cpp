// The side channel's relay: what it passes on, and how it breaks.
#include "cluster/relay.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace railyard::harness {
namespace {

using namespace std::chrono_literals;

sockaddr_in local(int port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(static_cast<uint16_t>(port));
  return where;
}

class RelayTest : public testing::Test {
 protected:
  RelayTest() {
    target_nobody();
    begin_to_listen();
  }
  ~RelayTest() override {
    for (int each : {client_, server_, listener_}) {
      if (each >= 0) close(each);
    }
  }

  // A relay to a port at which nobody listens, nor can anybody else begin to.
  void target_nobody() {
    if (listener_ >= 0) close(listener_);
    sockaddr_in any = local(0);
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    socklen_t bytes = sizeof any;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &bytes);
    relay_ = std::make_unique<Relay>(3, ntohs(any.sin_port));
  }
  void begin_to_listen() { EXPECT_EQ(listen(listener_, 4), 0); }

  // As rank 1. Returns the errno, 0: connected.
  int connect_once() {
    client_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in where = local(relay_->port(1));
    int result = ::connect(client_, reinterpret_cast<sockaddr*>(&where), sizeof where);
    return result == 0 ? 0 : errno;
  }
  void connect_both() {
    ASSERT_EQ(connect_once(), 0);
    server_ = accept(listener_, nullptr, nullptr);
    ASSERT_GE(server_, 0);
  }
  static void put(int socket, const std::string& text) {
    EXPECT_EQ(send(socket, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  static std::string take(int socket) {
    char text[64];
    ssize_t bytes = recv(socket, text, sizeof text, 0);
    return bytes < 0 ? "errno " + std::to_string(errno)
                     : std::string(text, static_cast<size_t>(bytes));
  }
  static bool silent(int socket) {
    pollfd one{socket, POLLIN, 0};
    return poll(&one, 1, 50) == 0;
  }
  void wait_until(const std::function<bool(const Relay::Counts&)>& seen) {
    while (!seen(relay_->counts(1))) std::this_thread::sleep_for(1ms);
  }

  int listener_ = -1, client_ = -1, server_ = -1;
  std::unique_ptr<Relay> relay_;
};

TEST_F(RelayTest, PassesOnBothWays) {
  connect_both();
  put(client_, "hello");
  EXPECT_EQ(take(server_), "hello");
  put(server_, "world");
  EXPECT_EQ(take(client_), "world");
  EXPECT_EQ(relay_->counts(1).accepted, 1u);
  EXPECT_EQ(relay_->counts(2).accepted, 0u);
}

TEST_F(RelayTest, PassesOnTheEnd) {
  connect_both();
  close(server_);
  server_ = -1;
  EXPECT_EQ(take(client_), "");
}

TEST_F(RelayTest, RefusesUntilItNoLongerDoes) {
  relay_->refuse(1, true);
  EXPECT_EQ(connect_once(), ECONNREFUSED);
  close(client_);
  relay_->refuse(1, false);
  connect_both();
  put(client_, "x");
  EXPECT_EQ(take(server_), "x");
}

TEST_F(RelayTest, CutsOneRank) {
  connect_both();
  put(client_, "x");
  EXPECT_EQ(take(server_), "x");
  relay_->cut(2);
  EXPECT_TRUE(silent(client_));
  relay_->cut(1);
  EXPECT_EQ(take(client_), "errno " + std::to_string(ECONNRESET));
  EXPECT_EQ(relay_->counts(-1).cut, 1u);
}

#ifdef RAILYARD_LINUX  // elsewhere such a child delays the end

// Holds, while it lives, whatever was open when it was forked.
class Child {
 public:
  Child() : pid_(fork()) {
    if (pid_ == 0) alarm(60);
    while (pid_ == 0) pause();
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;

 private:
  pid_t pid_;
};

TEST_F(RelayTest, CutsWhatAForkedChildStillHolds) {
  connect_both();
  Child child;
  relay_->cut(1);
  EXPECT_EQ(take(client_), "errno " + std::to_string(ECONNRESET));
}

TEST_F(RelayTest, RefusesThoughAForkedChildStillListens) {
  Child child;
  relay_->refuse(1, true);
  EXPECT_EQ(connect_once(), ECONNREFUSED);
  close(client_);
  relay_->refuse(1, false);
  connect_both();
}

#endif

TEST_F(RelayTest, HangsAndGoesOn) {
  connect_both();
  relay_->hang(1, true);
  put(client_, "x");
  wait_until([](const Relay::Counts& counts) { return counts.withheld_bytes == 1; });
  EXPECT_TRUE(silent(server_));
  relay_->hang(1, false);
  EXPECT_EQ(take(server_), "x");
}

TEST_F(RelayTest, AHangingConnectionDoesNotEnd) {
  connect_both();
  relay_->hang(1, true);
  close(server_);
  server_ = -1;
  wait_until([](const Relay::Counts& counts) { return counts.withheld_ends == 1; });
  EXPECT_TRUE(silent(client_));
}

TEST_F(RelayTest, KeepsWhatCameBeforeAnybodyListened) {
  target_nobody();
  ASSERT_EQ(connect_once(), 0);
  put(client_, "x");
  begin_to_listen();
  server_ = accept(listener_, nullptr, nullptr);
  EXPECT_EQ(take(server_), "x");
}

TEST_F(RelayTest, WithholdsThoughNobodyListens) {
  target_nobody();
  relay_->hang(1, true);
  ASSERT_EQ(connect_once(), 0);
  put(client_, "x");
  wait_until([](const Relay::Counts& counts) { return counts.withheld_bytes == 1; });
  begin_to_listen();
  server_ = accept(listener_, nullptr, nullptr);
  EXPECT_TRUE(silent(server_));
  EXPECT_EQ(relay_->counts(1).withheld_bytes, 1u);
  relay_->hang(1, false);
  EXPECT_EQ(take(server_), "x");
}

TEST_F(RelayTest, DelaysEveryPiece) {
  connect_both();
  relay_->slow(1, 60ms);
  auto begin = std::chrono::steady_clock::now();
  put(client_, "x");
  EXPECT_EQ(take(server_), "x");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 60ms);
  EXPECT_EQ(relay_->counts(1).delayed, 1u);
  EXPECT_FALSE(relay_->delaying());
}

}  // namespace
}  // namespace railyard::harness
