#include <bit>

#include "collectives/mesh_doubling.h"
#include "collectives/mesh_reduce.h"
#include "collectives/mesh_star.h"

namespace railyard::mesh {

namespace {

// Moves data without looking at it.
class Transfer : public Exchange {
 public:
  // `in_place`: each piece that comes takes the place of one for the same peer, which has to go
  // first.
  Transfer(Engine& engine, int rank, int size, const Call& call, bool in_place)
      : Exchange(engine, rank, size, call),
        targets_(engine.arena(), static_cast<size_t>(size)),
        in_place_(in_place) {}

  void send(Link& link, const std::byte* data) {
    outs_.add(link, call_.tag(), segments({outgoing(data, call_.bytes)}));
  }
  void receive(Link& link, std::byte* data) {
    ins_.add(link, call_.tag(), segments({{in_place_ ? nullptr : data, call_.bytes}}));
    targets_.add(data);
  }

  bool step() {
    pump();
    for (size_t i = 0; i < ins_.size(); ++i) take(ins_[i], targets_[i], i);
    return done();
  }

 private:
  void take(InStream& in, std::byte* target, size_t i) {
    while (const std::byte* data = in.front()) {
      if (in_place_ && outs_[i].left() <= in.taken()) return;
      copy(target + in.offset(), data, in.bytes());
      in.pop();
    }
  }

  List<std::byte*> targets_;
  const bool in_place_;
};

class Mesh : public Collectives {
 public:
  Mesh(Engine& engine, int rank, int size) : engine_(engine), rank_(rank), size_(size) {}

  void all_reduce(const Call& call) override {
    if (engine_.crowded() && call.bytes <= kMeshStar) {
      Star operation(engine_, rank_, size_, call);
      return engine_.run(operation);
    }
    if (call.bytes <= kMeshDoubling && std::has_single_bit(static_cast<unsigned>(size_))) {
      OperationTag tag = call.tag();
      return BriefHeader::fits(tag) ? doubling<BriefRound>(call, tag)
                                    : doubling<StreamRound>(call, tag);
    }
    lend(engine_, call.input, call.bytes);
    lend(engine_, call.output, call.bytes);
    if (call.bytes <= (size_ == 2 ? kPairOnePhase : kMeshOnePhase)) return one_phase(call);
    TwoPhases operation(engine_, rank_, size_, call);
    engine_.run(operation);
  }

  void sum_scatter(const Call& call) override {
    lend(engine_, call.input, call.bytes * static_cast<size_t>(size_));
    lend(engine_, call.output, call.bytes);
    one_phase(call);
  }

  void all_gather(const Call& call) override {
    copy(place(call, rank_), call.input, call.bytes);
    lend(engine_, call.output, call.bytes * static_cast<size_t>(size_));
    transfer(call, [&](Transfer& operation, int peer, Link& link) {
      operation.send(link, place(call, rank_));
      operation.receive(link, place(call, peer));
    });
  }

  void broadcast(const Call& call) override {
    lend(engine_, call.output, call.bytes);
    transfer(call, [&](Transfer& operation, int peer, Link& link) {
      if (rank_ == call.root) operation.send(link, call.output);
      if (peer == call.root) operation.receive(link, call.output);
    });
  }

  void all_to_all(const Call& call) override {
    size_t own = chunk_of(rank_, size_, call.bytes).offset;
    copy(call.output + own, call.input + own, call.bytes);
    lend(engine_, call.input, call.bytes * static_cast<size_t>(size_));
    lend(engine_, call.output, call.bytes * static_cast<size_t>(size_));
    transfer(call, [&](Transfer& operation, int peer, Link& link) {
      operation.send(link, call.input + chunk_of(peer, size_, call.bytes).offset);
      operation.receive(link, place(call, peer));
    });
  }

 private:
  template <typename Round>
  void doubling(const Call& call, const OperationTag& tag) {
    Doubling<Round> operation(engine_, rank_, size_, call, tag);
    engine_.run(operation);
  }

  void one_phase(const Call& call) {
    OnePhase operation(engine_, rank_, size_, call);
    engine_.run(operation);
  }

  std::byte* place(const Call& call, int rank) const {
    return call.output + chunk_of(rank, size_, call.bytes).offset;
  }

  // `plan(operation, peer, link)` says what goes to and comes from each peer.
  template <typename Plan>
  void transfer(const Call& call, Plan plan) {
    bool in_place = call.kind == OperationKind::all_to_all && call.input == call.output;
    Transfer operation(engine_, rank_, size_, call, in_place);
    for (int peer = 0; peer < size_; ++peer) {
      if (peer != rank_) plan(operation, peer, engine_.link(peer));
    }
    engine_.run(operation);
  }

  Engine& engine_;
  const int rank_, size_;
};

}  // namespace

std::vector<int> peers(int rank, int size) {
  std::vector<int> ranks;
  for (int peer = 0; peer < size; ++peer) {
    if (peer != rank) ranks.push_back(peer);
  }
  return ranks;
}

std::unique_ptr<Collectives> make(Engine& engine, int rank, int size) {
  return std::make_unique<Mesh>(engine, rank, size);
}

}  // namespace railyard::mesh
