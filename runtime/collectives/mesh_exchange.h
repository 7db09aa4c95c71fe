// An exchange with all other ranks of a mesh at once: the frame of its collectives.
#pragma once

#include "collectives/collectives.h"
#include "transport/stream.h"

namespace railyard::mesh {

class Exchange {
 public:
  Exchange(Engine& engine, int rank, int size, const Call& call)
      : engine_(engine),
        rank_(rank),
        size_(size),
        call_(call),
        outs_(engine.arena(), static_cast<size_t>(size)),
        ins_(engine.arena(), static_cast<size_t>(size)) {}

  const char* name() const { return railyard::name(call_.kind); }

  // The rail whose next message is missing.
  const Rail* waits_for() {
    for (InStream& in : ins_) {
      if (!in.done() && !in.front()) return &in.rail();
    }
    for (OutStream& out : outs_) {
      if (!out.done()) return &out.rail();
    }
    return nullptr;
  }

 protected:
  template <typename Work>
  void for_each_peer(Work work) {
    for (int peer = 0; peer < size_; ++peer) {
      if (peer != rank_) work(peer, engine_.link(peer));
    }
  }

  Segments segments(std::initializer_list<Segment> items) {
    return segments_of(engine_.arena(), items);
  }

  // Grants go first, so that the peers can begin with large messages.
  void pump() {
    for (InStream& in : ins_) in.pump();
    for (OutStream& out : outs_) out.pump();
  }
  bool done() const {
    for (const OutStream& out : outs_) {
      if (!out.done()) return false;
    }
    for (const InStream& in : ins_) {
      if (!in.done()) return false;
    }
    return true;
  }

  Engine& engine_;
  const int rank_, size_;
  const Call call_;
  List<OutStream> outs_;  // in the order of ranks, without this one
  List<InStream> ins_;
};

}  // namespace railyard::mesh
