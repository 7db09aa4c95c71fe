// A rail over a TCP connection, for groups without RDMA. The system's flow control does what
// credits and grants do over RDMA.
#pragma once

#include <vector>

#include "net/socket.h"
#include "transport/rail.h"

namespace railyard {

class TcpRail final : public Rail {
 public:
  // The longest payload of a message.
  static constexpr size_t kLargePayload = 64 << 10;

  TcpRail(Place place, Socket socket);

  const std::string& device() const override { return device_; }

  bool send(const MessageHeader& header, const std::byte* payload, bool large) override;
  // Nothing waits for a grant, and every message has its header.
  bool announce(const MessageHeader&) override { return true; }
  bool can_grant() const override { return true; }
  void grant(uint32_t, size_t, std::byte*) override {}
  bool tell_grants(const MessageHeader&) override { return true; }
  Arrival front(bool large) const override;
  void pop(bool large) override;
  bool sends_pending() const override { return !closed_ && outgoing_.bytes() > 0; }
  void flush_sends() override { flush(); }

  // Reads and writes what the system takes and has; returns whether that was anything.
  bool move();
  // The connection's end, and the errno it came with (0: closed by the peer).
  bool closed() const { return closed_; }
  int error_number() const { return error_number_; }
  // For poll(2).
  int descriptor() const { return socket_.descriptor(); }

 private:
  // A queue of bytes whose messages begin on cache lines.
  class Buffer {
   public:
    explicit Buffer(size_t bytes) : lines_(bytes / sizeof(MessageHeader)) {}
    std::byte* begin() const { return data() + begin_; }
    std::byte* end() const { return data() + end_; }
    size_t bytes() const { return end_ - begin_; }
    size_t room() const { return lines_.size() * sizeof(MessageHeader) - end_; }
    void add(size_t bytes) { end_ += bytes; }
    void drop(size_t bytes) { begin_ += bytes; }
    // Makes the most of the memory; what lies in it moves.
    void compact();
    void grow() { lines_.resize(lines_.size() * 2); }

   private:
    std::byte* data() const {
      return const_cast<std::byte*>(reinterpret_cast<const std::byte*>(lines_.data()));
    }
    std::vector<MessageHeader> lines_;
    size_t begin_ = 0, end_ = 0;
  };

  bool flush();
  bool fill();
  bool end();

  Socket socket_;
  const std::string device_ = "tcp";
  Buffer outgoing_, incoming_;
  bool closed_ = false;
  int error_number_ = 0;
};

}  // namespace railyard
