#include "collectives/mesh.h"

#include <cstring>

#include "reduce/reduce.h"

namespace railyard::mesh {

namespace {

// Larger sums go in two phases: each rank then adds 1/size of the elements.
constexpr size_t kOnePhaseBytes = 32 << 10;

// An exchange with all other ranks at once. Derived classes say what to do with what arrives.
class Exchange {
 public:
  Exchange(Engine& engine, int rank, int size) : engine_(engine), rank_(rank), size_(size) {
    outs_.reserve(static_cast<size_t>(size));
    ins_.reserve(static_cast<size_t>(size));
  }

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
  Rail& rail(int peer) { return *engine_.link(peer).rails.front(); }

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
  // Whether the next message of every peer is here.
  bool row_is_here() {
    for (InStream& in : ins_) {
      if (!in.front()) return false;
    }
    return true;
  }
  // Whether this message has gone to every peer.
  bool row_is_sent(uint32_t message) const {
    for (const OutStream& out : outs_) {
      if (out.posted() <= message) return false;
    }
    return true;
  }

  // out = the sum, in the order of ranks, of `own` and every peer's next message, which it takes.
  void sum_row(std::byte* out, const std::byte* own, size_t bytes, Dtype dtype) {
    // The first sum overwrites `own` when it is the output too; from rank 2 on it is needed later.
    if (own == out && rank_ >= 2) {
      own_copy_.assign(own, own + bytes);
      own = own_copy_.data();
    }
    const std::byte* sources[2] = {nullptr, nullptr};
    size_t next_in = 0;
    for (int source = 0; source < size_; ++source) {
      const std::byte* data = source == rank_ ? own : ins_[next_in++].front();
      if (source == 0) {
        sources[0] = data;
        continue;
      }
      sources[1] = data;
      sum(out, sources[0], sources[1], bytes, dtype);
      sources[0] = out;
    }
    for (InStream& in : ins_) in.pop();
  }

  Engine& engine_;
  const int rank_, size_;
  std::vector<OutStream> outs_;  // in the order of ranks, without this one
  std::vector<InStream> ins_;

 private:
  std::vector<std::byte> own_copy_;
};

class OnePhaseSum : public Exchange {
 public:
  OnePhaseSum(Engine& engine, int rank, int size, const void* input, void* output, size_t bytes,
              Dtype dtype)
      : Exchange(engine, rank, size),
        input_(static_cast<const std::byte*>(input)),
        output_(static_cast<std::byte*>(output)),
        dtype_(dtype) {
    OperationTag tag{bytes, OperationKind::all_sum, static_cast<uint8_t>(dtype)};
    for (int peer = 0; peer < size; ++peer) {
      if (peer == rank) continue;
      outs_.emplace_back(rail(peer), tag, std::vector<Segment>{{input, bytes}});
      ins_.emplace_back(rail(peer), tag, std::vector<size_t>{bytes});
    }
  }

  const char* name() const { return "all_sum"; }

  bool step() {
    pump();
    while (!ins_[0].done() && row_is_here() && row_is_sent(ins_[0].taken())) {
      size_t offset = ins_[0].offset(), bytes = ins_[0].bytes();
      sum_row(output_ + offset, input_ + offset, bytes, dtype_);
    }
    return done();
  }

 private:
  const std::byte* input_;
  std::byte* output_;
  Dtype dtype_;
};

// The part of a buffer that one rank sums: whole elements, almost the same number for each rank.
struct Part {
  size_t offset, bytes;
};

Part part_of(int rank, int size, size_t bytes, size_t element) {
  size_t count = bytes / element;
  auto at = [&](int r) {
    return count * static_cast<size_t>(r) / static_cast<size_t>(size) * element;
  };
  return {at(rank), at(rank + 1) - at(rank)};
}

class TwoPhaseSum : public Exchange {
 public:
  TwoPhaseSum(Engine& engine, int rank, int size, const void* input, void* output, size_t bytes,
              Dtype dtype)
      : Exchange(engine, rank, size),
        input_(static_cast<const std::byte*>(input)),
        output_(static_cast<std::byte*>(output)),
        dtype_(dtype),
        mine_(part_of(rank, size, bytes, size_of(dtype))) {
    OperationTag tag{bytes, OperationKind::all_sum, static_cast<uint8_t>(dtype)};
    for (int peer = 0; peer < size; ++peer) {
      if (peer == rank) continue;
      Part theirs = part_of(peer, size, bytes, size_of(dtype));
      parts_.push_back(theirs);
      // First the peer's part to be summed there, then the sums of this rank's part as they are
      // formed.
      uint32_t ready = rail(peer).cut().count(theirs.bytes);
      first_messages_.push_back(ready);
      outs_.emplace_back(rail(peer), tag,
                         std::vector<Segment>{{input_ + theirs.offset, theirs.bytes},
                                              {output_ + mine_.offset, mine_.bytes}},
                         ready);
      ins_.emplace_back(rail(peer), tag, std::vector<size_t>{mine_.bytes, theirs.bytes});
    }
  }

  const char* name() const { return "all_sum"; }

  bool step() {
    pump();
    while (summing() && row_is_here()) {
      size_t offset = mine_.offset + ins_[0].offset(), bytes = ins_[0].bytes();
      sum_row(output_ + offset, input_ + offset, bytes, dtype_);
      ++rows_;
      for (size_t i = 0; i < outs_.size(); ++i) outs_[i].allow(first_messages_[i] + rows_);
    }
    for (size_t i = 0; i < ins_.size(); ++i) gather(ins_[i], parts_[i]);
    return done();
  }

 private:
  bool summing() const {
    for (const InStream& in : ins_) {
      if (in.done() || in.segment() > 0) return false;
    }
    return true;
  }

  void gather(InStream& in, const Part& part) {
    while (!in.done() && in.segment() == 1) {
      const std::byte* sums = in.front();
      if (!sums) return;
      std::memcpy(output_ + part.offset + in.offset(), sums, in.bytes());
      in.pop();
    }
  }

  const std::byte* input_;
  std::byte* output_;
  Dtype dtype_;
  Part mine_;
  std::vector<Part> parts_;               // of the peers
  std::vector<uint32_t> first_messages_;  // to each peer: messages of the first phase
  uint32_t rows_ = 0;                     // messages of this rank's part that are summed
};

class Barrier : public Exchange {
 public:
  Barrier(Engine& engine, int rank, int size) : Exchange(engine, rank, size) {
    OperationTag tag{0, OperationKind::barrier, 0};
    for (int peer = 0; peer < size; ++peer) {
      if (peer == rank) continue;
      outs_.emplace_back(rail(peer), tag, std::vector<Segment>{{}});
      ins_.emplace_back(rail(peer), tag, std::vector<size_t>{0});
    }
  }

  const char* name() const { return "barrier"; }

  bool step() {
    pump();
    for (InStream& in : ins_) {
      if (in.front()) in.pop();
    }
    return done();
  }
};

}  // namespace

void all_sum(Engine& engine, int rank, int size, const void* input, void* output, size_t bytes,
             Dtype dtype) {
  if (size == 2 || bytes <= kOnePhaseBytes) {
    OnePhaseSum operation(engine, rank, size, input, output, bytes, dtype);
    engine.run(operation);
  } else {
    TwoPhaseSum operation(engine, rank, size, input, output, bytes, dtype);
    engine.run(operation);
  }
}

void barrier(Engine& engine, int rank, int size) {
  Barrier operation(engine, rank, size);
  engine.run(operation);
}

}  // namespace railyard::mesh
