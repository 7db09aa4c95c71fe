#include "bootstrap/neighbours.h"

#include "bootstrap/wire.h"
#include "config/endpoint.h"
#include "railyard/error.h"

namespace railyard {

namespace {

using boost::asio::ip::tcp;

tcp::endpoint address_of(const std::string& text) {
  auto endpoint = config::parse_endpoint("endpoint", text);
  return {boost::asio::ip::make_address(endpoint.ip), endpoint.port};
}

}  // namespace

std::shared_ptr<Door> Door::open(const std::string& coordinator) {
  auto door = std::make_shared<Door>();
  try {
    door->listener = railyard::Listener::open(address_towards(coordinator));
    door->token = random_token();
  } catch (const railyard::Error&) {
    // No address of its own: its neighbour does without.
  }
  return door;
}

std::string Door::invitation() const {
  return WireWriter().put(listener.endpoint).put(token).take();
}

Neighbours::Neighbours(boost::asio::io_context& io, int rank, int size, Handlers handlers)
    : io_(io), rank_(rank), size_(size), handlers_(std::move(handlers)), acceptor_(io) {}

void Neighbours::let_in(Door& door) {
  if (door.listener.endpoint.empty()) return;
  token_ = door.token;
  Connection::Error error;
  acceptor_.assign(address_of(door.listener.endpoint).protocol(), door.listener.socket.release(),
                   error);
  if (!error) accept();
}

void Neighbours::accept() {
  acceptor_.async_accept([this](Connection::Error error, tcp::socket socket) {
    if (error) return;
    auto connection = std::make_shared<Connection>(std::move(socket));
    connection->start(
        [this, seen = std::weak_ptr(connection)](const SideMessage& message) {
          if (auto alive = seen.lock()) greet(alive, message);
        },
        [](Connection::Error) {});
    accept();
  });
}

void Neighbours::greet(const std::shared_ptr<Connection>& connection, const SideMessage& message) {
  bool known = message.type == MessageType::hello && !from_before_ &&
               WireReader(message.payload).get<uint64_t>() == token_;
  if (!known) return connection->close();
  from_before_ = connection;
  Connection::Error ignored;
  acceptor_.close(ignored);
  hear_of(connection, before());
}

void Neighbours::go_to_next(const std::string& invitation) {
  WireReader reader(invitation);
  std::string endpoint = reader.text();
  if (endpoint.empty()) return;
  auto token = reader.get<uint64_t>();
  auto socket = std::make_shared<tcp::socket>(io_);
  socket->async_connect(address_of(endpoint), [this, socket, token](Connection::Error error) {
    if (error) return;
    to_next_ = std::make_shared<Connection>(std::move(*socket));
    to_next_->start(nullptr, nullptr);
    hear_of(to_next_, next());
    to_next_->send(MessageType::hello, WireWriter().put(token).take());
  });
}

void Neighbours::hear_of(const std::shared_ptr<Connection>& connection, int rank) {
  connection->on_message(
      [this, rank](const SideMessage& message) { handlers_.on_message(rank, message); });
  connection->on_close([this, rank](Connection::Error error) {
    bool closed = error == boost::asio::error::eof || error == boost::asio::error::connection_reset;
    if (closed) handlers_.on_death(rank);
  });
}

void Neighbours::tell(MessageType type, const std::string& payload) {
  for (const auto& connection : {from_before_, to_next_}) {
    if (connection) connection->send(type, payload);
  }
}

bool Neighbours::idle() const {
  return (!from_before_ || from_before_->idle()) && (!to_next_ || to_next_->idle());
}

}  // namespace railyard
