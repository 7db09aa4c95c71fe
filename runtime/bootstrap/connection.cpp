#include "bootstrap/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "bootstrap/wire.h"

namespace railyard {

namespace {

constexpr size_t kHeaderBytes = 5;  // length, type
// Far more than the addresses of the largest group; a stranger's bytes read as a length exceed it.
constexpr uint32_t kMaxPayloadBytes = 16u << 20;

}  // namespace

Connection::Connection(boost::asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
  Error ignored;
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
}

void Connection::start(std::function<void(SideMessage)> on_message,
                       std::function<void(Error)> on_close) {
  on_message_ = std::move(on_message);
  on_close_ = std::move(on_close);
  read_header();
}

void Connection::read_header() {
  header_.resize(kHeaderBytes);
  boost::asio::async_read(socket_, boost::asio::buffer(header_),
                          [self = shared_from_this()](Error error, size_t) {
                            if (error) return self->fail(error);
                            WireReader reader(self->header_);
                            auto bytes = reader.get<uint32_t>();
                            auto type = reader.get<MessageType>();
                            if (bytes > kMaxPayloadBytes) {
                              return self->fail(boost::asio::error::message_size);
                            }
                            self->read_payload(type, bytes);
                          });
}

void Connection::read_payload(MessageType type, uint32_t bytes) {
  payload_.resize(bytes);
  boost::asio::async_read(socket_, boost::asio::buffer(payload_),
                          [self = shared_from_this(), type](Error error, size_t) {
                            if (error) return self->fail(error);
                            // A copy, because the handler may close this connection.
                            auto on_message = self->on_message_;
                            if (!on_message) return;
                            try {
                              on_message({type, std::move(self->payload_)});
                            } catch (const std::out_of_range&) {  // not one of our messages
                              return self->fail(boost::asio::error::invalid_argument);
                            }
                            if (self->socket_.is_open()) self->read_header();
                          });
}

void Connection::send(MessageType type, const std::string& payload) {
  if (!socket_.is_open()) return;
  WireWriter writer;
  writer.put(static_cast<uint32_t>(payload.size())).put(type);
  outgoing_.push_back(writer.take() + payload);
  if (outgoing_.size() == 1) write_next();
}

void Connection::write_next() {
  boost::asio::async_write(socket_, boost::asio::buffer(outgoing_.front()),
                           [self = shared_from_this()](Error error, size_t) {
                             if (!self->outgoing_.empty()) self->outgoing_.pop_front();
                             // A peer that is gone is noticed by reading, after its last words.
                             if (error) return self->outgoing_.clear();
                             if (!self->outgoing_.empty()) self->write_next();
                           });
}

void Connection::fail(Error error) {
  auto on_close = std::move(on_close_);
  close();
  if (on_close) on_close(error);
}

void Connection::close() {
  on_message_ = nullptr;
  on_close_ = nullptr;
  Error ignored;
  socket_.close(ignored);
}

}  // namespace railyard
