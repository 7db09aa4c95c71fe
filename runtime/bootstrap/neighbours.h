// A connection to the next rank and one from the rank before, so that deaths and failures are heard
// of though rank 0, through which news passes otherwise, is stopped or slow. An extra: a connection
// that cannot be made is done without.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "bootstrap/connection.h"
#include "net/socket.h"

namespace railyard {

// Where a rank waits for the one before it.
struct Door {
  railyard::Listener listener;
  uint64_t token = 0;  // who does not know it is a stranger

  // On the address from which `coordinator` is reached.
  static std::shared_ptr<Door> open(const std::string& coordinator);
  // What the rank before it needs to come in.
  std::string invitation() const;
};

// Lives in the I/O thread.
class Neighbours {
 public:
  struct Handlers {
    std::function<void(int rank, const SideMessage&)> on_message;
    std::function<void(int rank)> on_death;  // its connection has closed
  };

  Neighbours(boost::asio::io_context& io, int rank, int size, Handlers handlers);

  // Waits for the rank before this one; goes to the next one, which has sent `invitation`.
  void let_in(Door& door);
  void go_to_next(const std::string& invitation);

  void tell(MessageType type, const std::string& payload);
  bool idle() const;  // all that was told is with the system

 private:
  int before() const { return (rank_ + size_ - 1) % size_; }
  int next() const { return (rank_ + 1) % size_; }
  void accept();
  void greet(const std::shared_ptr<Connection>& connection, const SideMessage& message);
  void hear_of(const std::shared_ptr<Connection>& connection, int rank);

  boost::asio::io_context& io_;
  const int rank_, size_;
  const Handlers handlers_;
  boost::asio::ip::tcp::acceptor acceptor_;
  uint64_t token_ = 0;
  std::shared_ptr<Connection> from_before_, to_next_;
};

}  // namespace railyard
