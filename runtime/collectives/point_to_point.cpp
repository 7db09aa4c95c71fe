#include "collectives/point_to_point.h"

#include "collectives/parts.h"

namespace railyard {

namespace {

OperationTag tag_of(size_t bytes) { return {bytes, OperationKind::point_to_point}; }

class Send {
 public:
  Send(Engine& engine, Link& link, const std::byte* data, size_t bytes)
      : out_(link, tag_of(bytes), segments_of(engine.arena(), {outgoing(data, bytes)})) {}

  const char* name() const { return "send"; }
  const Rail* waits_for() const { return &out_.rail(); }
  bool step() {
    out_.pump();
    return out_.done();
  }

 private:
  OutStream out_;
};

class Receive {
 public:
  Receive(Engine& engine, Link& link, std::byte* data, size_t bytes)
      : in_(link, tag_of(bytes), segments_of(engine.arena(), {{data, bytes}})), data_(data) {}

  const char* name() const { return "recv"; }
  const Rail* waits_for() const { return &in_.rail(); }
  bool step() {
    in_.pump();
    while (const std::byte* piece = in_.front()) {
      copy(data_ + in_.offset(), piece, in_.bytes());
      in_.pop();
    }
    return in_.done();
  }

 private:
  InStream in_;
  std::byte* data_;
};

}  // namespace

void send(Engine& engine, const void* data, size_t bytes, int destination) {
  auto* bytes_at = static_cast<const std::byte*>(data);
  lend(engine, bytes_at, bytes);
  Send operation(engine, engine.link(destination), bytes_at, bytes);
  engine.run(operation);
}

void receive(Engine& engine, void* data, size_t bytes, int source) {
  auto* bytes_at = static_cast<std::byte*>(data);
  lend(engine, bytes_at, bytes);
  Receive operation(engine, engine.link(source), bytes_at, bytes);
  engine.run(operation);
}

}  // namespace railyard
