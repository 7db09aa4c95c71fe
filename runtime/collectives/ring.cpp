#include "collectives/ring_reduce.h"

namespace railyard::ring {

namespace {

// Takes pieces from the left, each to its place, and passes some of them on.
class Passing : public Flow {
 public:
  struct Stop {
    std::byte* target;
    bool goes_on;
  };

  Passing(Engine& engine, int rank, int size, const Call& call, const Segments& outgoing,
          size_t ready, const List<Stop>& stops)
      : Flow(engine, rank, size, call, outgoing, ready, coming_in(engine, call, stops)),
        stops_(stops) {}

  bool step() {
    return advance([this](const std::byte* data) {
      const Stop& stop = stops_[in_.segment()];
      copy(stop.target + in_.offset(), data, in_.bytes());
      return stop.goes_on;
    });
  }

 private:
  static Segments coming_in(Engine& engine, const Call& call, const List<Stop>& stops) {
    Segments segments(engine.arena(), stops.size());
    for (const Stop& stop : stops) segments.add(stop.target, call.bytes);
    return segments;
  }

  List<Stop> stops_;
};

class Ring : public Collectives {
 public:
  Ring(Engine& engine, int rank, int size) : engine_(engine), rank_(rank), size_(size) {}

  // Small arrays go round as they are and are combined in the order of ranks everywhere.
  void all_reduce(const Call& call) override {
    if (call.bytes > kSmallPayload) return reduce_parts(engine_, rank_, size_, call);
    Call gathering = call;
    gathering.output = scratch(call.bytes * static_cast<size_t>(size_));
    all_gather(gathering);
    const std::byte* left = gathering.output;
    for (int source = 1; source < size_; ++source) {
      const std::byte* right = gathering.output + chunk_of(source, size_, call.bytes).offset;
      combine(call, call.output, left, right, call.bytes);
      left = call.output;
    }
  }

  void sum_scatter(const Call& call) override {
    reduce_chunks(engine_, rank_, size_, call, scratch_);
  }

  void all_gather(const Call& call) override {
    auto place = [&](int rank) { return call.output + chunk_of(rank, size_, call.bytes).offset; };
    copy(place(rank_), call.input, call.bytes);
    lend(engine_, call.output, call.bytes * static_cast<size_t>(size_));
    auto steps = static_cast<size_t>(size_ - 1);
    Segments outgoing(engine_.arena(), steps);
    List<Passing::Stop> stops(engine_.arena(), steps);
    for (int step = 0; step < size_ - 1; ++step) {
      outgoing.add(place(rank_ - step), call.bytes);
      stops.add(place(rank_ - 1 - step), step < size_ - 2);
    }
    pass(call, outgoing, 1, stops);
  }

  void broadcast(const Call& call) override {
    lend(engine_, call.output, call.bytes);
    bool last = right_of(rank_, size_) == call.root;
    Segments outgoing(engine_.arena(), 1);
    List<Passing::Stop> stops(engine_.arena(), 1);
    if (!last) outgoing.add(call.output, call.bytes);
    if (rank_ != call.root) stops.add(call.output, !last);
    pass(call, outgoing, rank_ == call.root ? 1 : 0, stops);
  }

  // Every chunk goes to the right until it is where it belongs. In step s come the chunks of rank
  // r-s: the first is for this rank, the others go on.
  void all_to_all(const Call& call) override {
    auto count = static_cast<size_t>(size_);
    bool in_place = call.input == call.output;
    std::byte* passing =
        scratch(call.bytes * ((count - 1) * (count - 2) / 2 + (in_place ? count : 0)));
    const std::byte* input = call.input;
    lend(engine_, call.output, call.bytes * count);
    lend(engine_, call.input, call.bytes * count);
    lend(engine_, scratch_.data(), scratch_.size());
    if (in_place) {
      copy(passing, input, call.bytes * count);
      input = passing;
      passing += call.bytes * count;
    }
    size_t own = chunk_of(rank_, size_, call.bytes).offset;
    copy(call.output + own, input + own, call.bytes);

    size_t pieces = count * (count - 1) / 2;
    Segments outgoing(engine_.arena(), pieces);
    List<Passing::Stop> stops(engine_.arena(), pieces);
    for (int hop = 1; hop < size_; ++hop) {
      const std::byte* chunk = input + chunk_of(rank_ + hop, size_, call.bytes).offset;
      outgoing.add(railyard::outgoing(chunk, call.bytes));
    }
    for (int step = 1; step < size_; ++step) {
      stops.add(call.output + chunk_of(rank_ - step, size_, call.bytes).offset, false);
      for (int further = step + 1; further < size_; ++further, passing += call.bytes) {
        outgoing.add(passing, call.bytes);
        stops.add(passing, true);
      }
    }
    pass(call, outgoing, count - 1, stops);
  }

 private:
  void pass(const Call& call, const Segments& outgoing, size_t ready,
            const List<Passing::Stop>& stops) {
    Passing operation(engine_, rank_, size_, call, outgoing, ready, stops);
    engine_.run(operation);
  }

  std::byte* scratch(size_t bytes) {
    if (scratch_.size() < bytes) scratch_.resize(bytes);
    return scratch_.data();
  }

  Engine& engine_;
  const int rank_, size_;
  std::vector<std::byte> scratch_;  // grows to what the largest call needs
};

}  // namespace

std::vector<int> peers(int rank, int size) {
  int left = left_of(rank, size), right = right_of(rank, size);
  if (left == right) return {left};
  return {left, right};
}

std::unique_ptr<Collectives> make(Engine& engine, int rank, int size) {
  return std::make_unique<Ring>(engine, rank, size);
}

}  // namespace railyard::ring
