#include "collectives/mesh_reduce.h"

namespace railyard::mesh {

bool Rows::row_is_here() {
  for (InStream& in : ins_) {
    if (!in.front()) return false;
  }
  return true;
}

std::byte* Rows::first_place(std::byte* output) const {
  return ins_.size() == 0 ? output : nullptr;
}

bool Rows::row_has_left(uint32_t message) const {
  for (const OutStream& out : outs_) {
    if (out.left() <= message) return false;
  }
  return true;
}

void Rows::combine_row(std::byte* out, const std::byte* own, size_t bytes) {
  // The first result overwrites `own` when it is the output too; from rank 2 on it is needed later.
  if (own == out && rank_ >= 2) {
    own_copy_.assign(own, own + bytes);
    own = own_copy_.data();
  }
  const std::byte* left = nullptr;
  size_t next_in = 0;
  for (int source = 0; source < size_; ++source) {
    const std::byte* data = source == rank_ ? own : ins_[next_in++].front();
    if (source > 0) combine(call_, out, left, data, bytes);
    left = source > 0 ? out : data;
  }
  for (InStream& in : ins_) in.pop();
}

OnePhase::OnePhase(Engine& engine, int rank, int size, const Call& call)
    : Rows(engine, rank, size, call), own_(call.input) {
  bool scatter = call.kind == OperationKind::sum_scatter;
  auto share = [&](int peer) {
    return call.input + (scatter ? chunk_of(peer, size_, call.bytes).offset : 0);
  };
  own_ = share(rank);
  // The output is one of the shares, or lies elsewhere.
  const std::byte* end = call.input + call.bytes * static_cast<size_t>(scatter ? size : 1);
  overwrites_ = call.output >= call.input && call.output < end;
  OperationTag tag = call.tag();
  for_each_peer([&](int peer, Link& link) {
    outs_.add(link, tag, segments({outgoing(share(peer), call.bytes)}));
    ins_.add(link, tag, segments({{overwrites_ ? nullptr : first_place(call.output), call.bytes}}));
  });
}

bool OnePhase::step() {
  pump();
  while (!ins_[0].done() && row_is_here() && !(overwrites_ && !row_has_left(ins_[0].taken()))) {
    size_t offset = ins_[0].offset(), bytes = ins_[0].bytes();
    combine_row(call_.output + offset, own_ + offset, bytes);
  }
  return done();
}

TwoPhases::TwoPhases(Engine& engine, int rank, int size, const Call& call)
    : Rows(engine, rank, size, call),
      mine_(part_of(rank, size, call.bytes, size_of(call.dtype))),
      parts_(engine.arena(), static_cast<size_t>(size)),
      first_messages_(engine.arena(), static_cast<size_t>(size)) {
  OperationTag tag = call.tag();
  for_each_peer([&](int peer, Link& link) {
    Part theirs = part_of(peer, size_, call.bytes, size_of(call.dtype));
    parts_.add(theirs);
    // First the peer's part to be combined there, then this rank's part as it is formed.
    uint32_t ready = link.cut().count(theirs.bytes);
    first_messages_.add(ready);
    outs_.add(link, tag,
              segments({outgoing(call.input + theirs.offset, theirs.bytes),
                        outgoing(call.output + mine_.offset, mine_.bytes)}),
              ready);
    // The finished part may lie in its place at once: the peer has got this rank's share of it.
    ins_.add(
        link, tag,
        segments({{call.output == call.input ? nullptr : first_place(call.output + mine_.offset),
                   mine_.bytes},
                  {call.output + theirs.offset, theirs.bytes}}));
  });
}

bool TwoPhases::step() {
  pump();
  while (combining() && row_is_here()) {
    size_t offset = mine_.offset + ins_[0].offset(), bytes = ins_[0].bytes();
    combine_row(call_.output + offset, call_.input + offset, bytes);
    ++rows_;
    for (size_t i = 0; i < outs_.size(); ++i) outs_[i].allow(first_messages_[i] + rows_);
  }
  for (size_t i = 0; i < ins_.size(); ++i) gather(ins_[i], parts_[i]);
  return done();
}

bool TwoPhases::combining() const {
  for (const InStream& in : ins_) {
    if (in.done() || in.segment() > 0) return false;
  }
  return true;
}

void TwoPhases::gather(InStream& in, const Part& part) {
  while (!in.done() && in.segment() == 1) {
    const std::byte* data = in.front();
    if (!data) return;
    copy(call_.output + part.offset + in.offset(), data, in.bytes());
    in.pop();
  }
}

}  // namespace railyard::mesh
