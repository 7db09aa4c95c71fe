#include "collectives/point_to_point.h"

#include <cstring>

namespace railyard {

namespace {

OperationTag tag_of(size_t bytes) { return {bytes, OperationKind::point_to_point}; }

class Send {
 public:
  Send(Link& link, const void* data, size_t bytes) : out_(link, tag_of(bytes), {{data, bytes}}) {}

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
  Receive(Link& link, void* data, size_t bytes)
      : in_(link, tag_of(bytes), {bytes}), data_(static_cast<std::byte*>(data)) {}

  const char* name() const { return "recv"; }
  const Rail* waits_for() const { return &in_.rail(); }
  bool step() {
    in_.pump();
    while (const std::byte* piece = in_.front()) {
      if (in_.bytes() > 0) std::memcpy(data_ + in_.offset(), piece, in_.bytes());
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
  Send operation(engine.link(destination), data, bytes);
  engine.run(operation);
}

void receive(Engine& engine, void* data, size_t bytes, int source) {
  Receive operation(engine.link(source), data, bytes);
  engine.run(operation);
}

}  // namespace railyard
