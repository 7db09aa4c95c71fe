#include "collectives/mesh_reduce.h"

namespace railyard::mesh {

namespace {

// Larger reductions go in two phases: each rank then combines 1/size of the elements.
constexpr size_t kOnePhaseBytes = 32 << 10;

// Moves data without looking at it.
class Transfer : public Exchange {
 public:
  using Exchange::Exchange;

  void send(Link& link, const std::byte* data) {
    outs_.emplace_back(link, call_.tag(), std::vector<Segment>{{data, call_.bytes}});
  }
  void receive(Link& link, std::byte* data) {
    ins_.emplace_back(link, call_.tag(), std::vector<size_t>{call_.bytes});
    targets_.push_back(data);
  }
  // Each piece that comes takes the place of one for the same peer, which has to go first.
  void swap_in_place() { in_place_ = true; }

  bool step() {
    pump();
    for (size_t i = 0; i < ins_.size(); ++i) take(ins_[i], targets_[i], i);
    return done();
  }

 private:
  void take(InStream& in, std::byte* target, size_t i) {
    while (const std::byte* data = in.front()) {
      if (in_place_ && outs_[i].posted() <= in.taken()) return;
      copy(target + in.offset(), data, in.bytes());
      in.pop();
    }
  }

  std::vector<std::byte*> targets_;
  bool in_place_ = false;
};

class Mesh : public Collectives {
 public:
  Mesh(Engine& engine, int rank, int size) : engine_(engine), rank_(rank), size_(size) {}

  void all_reduce(const Call& call) override {
    if (size_ == 2 || call.bytes <= kOnePhaseBytes) return sum_scatter(call);
    TwoPhases operation(engine_, rank_, size_, call);
    engine_.run(operation);
  }

  void sum_scatter(const Call& call) override {
    OnePhase operation(engine_, rank_, size_, call);
    engine_.run(operation);
  }

  void all_gather(const Call& call) override {
    copy(place(call, rank_), call.input, call.bytes);
    transfer(call, [&](Transfer& operation, int peer, Link& link) {
      operation.send(link, place(call, rank_));
      operation.receive(link, place(call, peer));
    });
  }

  void broadcast(const Call& call) override {
    transfer(call, [&](Transfer& operation, int peer, Link& link) {
      if (rank_ == call.root) operation.send(link, call.output);
      if (peer == call.root) operation.receive(link, call.output);
    });
  }

  void all_to_all(const Call& call) override {
    size_t own = chunk_of(rank_, size_, call.bytes).offset;
    copy(call.output + own, call.input + own, call.bytes);
    transfer(call, [&](Transfer& operation, int peer, Link& link) {
      operation.send(link, call.input + chunk_of(peer, size_, call.bytes).offset);
      operation.receive(link, place(call, peer));
      if (call.input == call.output) operation.swap_in_place();
    });
  }

 private:
  std::byte* place(const Call& call, int rank) const {
    return call.output + chunk_of(rank, size_, call.bytes).offset;
  }

  // `plan(operation, peer, link)` says what goes to and comes from each peer.
  template <typename Plan>
  void transfer(const Call& call, Plan plan) {
    Transfer operation(engine_, rank_, size_, call);
    for (int peer : peers(rank_, size_)) plan(operation, peer, engine_.link(peer));
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
