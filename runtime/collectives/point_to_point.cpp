#include "collectives/point_to_point.h"

#include <fmt/format.h>

#include "collectives/parts.h"

namespace railyard {

namespace {

OperationTag tag_of(size_t bytes) { return {bytes, OperationKind::point_to_point}; }

class Send {
 public:
  Send(Engine& engine, Link& link, const std::byte* data, size_t bytes)
      : link_(link),
        out_(link, tag_of(bytes), segments_of(engine.arena(), {outgoing(data, bytes)})) {}

  const char* name() const { return "send"; }
  const Rail* waits_for() const { return &out_.rail(); }
  bool step() {
    out_.pump();
    if (out_.done()) return true;
    if (!out_.begun()) check_for_twin();
    return false;
  }

 private:
  // A peer that has a large message for this rank waits for its receive as this rank waits for the
  // peer's: neither will come.
  void check_for_twin() const {
    const Rail& rail = *link_.rails.front();
    const auto& theirs = rail.peer_announces();
    if (!theirs || theirs->stream != link_.incoming_streams) return;
    if (theirs->tag.kind != OperationKind::point_to_point) return;
    ErrorFields fields = fields_of("send", rail.place());
    throw Error(
        ErrorCode::mismatched_collectives,
        fmt::format("send: rank {} and this rank both send to each other ({} bytes and more "
                    "than {}), and neither receives; let one receive first",
                    rail.peer(), theirs->tag.bytes, kSmallRun),
        fields);
  }

  Link& link_;
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
