// Small reductions of a mesh whose size is a power of two, by recursive doubling: in round k a rank
// exchanges what it has with the one whose number differs in bit k, and both combine the two in the
// order of ranks. So all ranks form the same tree and have the same bits.
#pragma once

#include <optional>
#include <utility>

#include "collectives/parts.h"
#include "transport/stream.h"

namespace railyard::mesh {

// How two ranks exchange the array in a round: step() does what has become possible, gives what has
// come to `combine(theirs, offset, bytes)`, and returns whether all is done.

// As one short message.
class BriefRound {
 public:
  BriefRound(Engine& engine, int partner, const std::byte* data, const OperationTag& tag)
      : data_(data), exchange_(engine.link(partner), tag) {}

  template <typename Combine>
  bool step(Combine combine) {
    if (!exchange_.send(data_)) return false;
    const std::byte* theirs = exchange_.front();
    if (!theirs) return false;
    combine(theirs, 0, exchange_.bytes());
    exchange_.pop();
    return true;
  }
  const Rail& rail() const { return exchange_.rail(); }

 private:
  const std::byte* data_;
  ShortExchange exchange_;
};

// As small messages.
class StreamRound {
 public:
  StreamRound(Engine& engine, int partner, const std::byte* data, const OperationTag& tag)
      : out_(engine.link(partner), tag, segments_of(engine.arena(), {outgoing(data, tag.bytes)})),
        in_(engine.link(partner), tag, segments_of(engine.arena(), {{nullptr, tag.bytes}})) {}

  template <typename Combine>
  bool step(Combine combine) {
    in_.pump();
    out_.pump();
    // Both sides cut the array alike: each message that comes replaces one that has to leave first.
    while (out_.left() > in_.taken()) {
      const std::byte* theirs = in_.front();
      if (!theirs) break;
      combine(theirs, in_.offset(), in_.bytes());
      in_.pop();
    }
    return in_.done();
  }
  const Rail& rail() const { return in_.rail(); }

 private:
  OutStream out_;
  InStream in_;
};

// `size` is a power of two.
template <typename Round>
class Doubling {
 public:
  Doubling(Engine& engine, int rank, int size, const Call& call, const OperationTag& tag)
      : engine_(engine), rank_(rank), size_(size), call_(call), tag_(tag), ours_(call.input) {
    round_.emplace(engine_, partner(), ours_, tag_);
  }

  const char* name() const { return railyard::name(call_.kind); }
  const Rail* waits_for() const { return &round_->rail(); }
  const Rail* only_rail() const { return waits_for(); }

  bool step() {
    while (round_->step([this](const std::byte* theirs, size_t offset, size_t bytes) {
      const std::byte *first = ours_ + offset, *second = theirs;
      if (partner() < rank_) std::swap(first, second);
      combine(call_, call_.output + offset, first, second, bytes);
    })) {
      distance_ *= 2;
      if (distance_ == size_) return true;
      ours_ = call_.output;
      round_.emplace(engine_, partner(), ours_, tag_);
    }
    return false;
  }

 private:
  int partner() const { return rank_ ^ distance_; }

  Engine& engine_;
  const int rank_, size_;
  const Call& call_;
  const OperationTag tag_;
  const std::byte* ours_;  // what this rank has so far
  int distance_ = 1;
  std::optional<Round> round_;
};

}  // namespace railyard::mesh
