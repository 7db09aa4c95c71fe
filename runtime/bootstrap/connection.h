// One TCP connection of the side channel: whole messages in, whole messages out, in order.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace railyard {

enum class MessageType : uint8_t {
  hello,       // rank -> coordinator: who I am
  contribute,  // rank -> coordinator: my part of an exchange
  result,      // coordinator -> rank: all parts of an exchange
  waiting,     // coordinator -> rank: the ranks that an exchange still waits for
  failure,     // both ways: the first failure
  left,        // both ways: this rank has left in good order
};

struct SideMessage {
  MessageType type;
  std::string payload;
};

// Lives in the I/O thread, except for its construction.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Error = boost::system::error_code;

  explicit Connection(boost::asio::ip::tcp::socket socket);

  // Starts reading. `on_message` is called for each message, `on_close` once, when the other side
  // has closed or the connection failed; neither after close().
  void start(std::function<void(SideMessage)> on_message, std::function<void(Error)> on_close);

  // Exchange the handlers, also from within one.
  void on_message(std::function<void(SideMessage)> handler) { on_message_ = std::move(handler); }
  void on_close(std::function<void(Error)> handler) { on_close_ = std::move(handler); }

  void send(MessageType type, const std::string& payload);
  bool idle() const { return outgoing_.empty(); }  // all that was sent is with the system
  void close();

 private:
  void read_header();
  void read_payload(MessageType type, uint32_t bytes);
  void write_next();
  void fail(Error error);

  boost::asio::ip::tcp::socket socket_;
  std::function<void(SideMessage)> on_message_;
  std::function<void(Error)> on_close_;
  std::deque<std::string> outgoing_;
  std::string header_, payload_;
};

}  // namespace railyard
