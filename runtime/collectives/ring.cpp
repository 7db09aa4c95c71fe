#include "collectives/ring_reduce.h"

namespace railyard::ring {

namespace {

// Takes pieces from the rank before, each to its place, and passes some of them on.
class Passing : public Flow {
 public:
  struct Stop {
    std::byte* target;
    bool goes_on;
  };

  Passing(const Way& way, const Call& call, const Slice& slice, const Segments& outgoing,
          size_t ready, const List<Stop>& stops)
      : Flow(way, call, outgoing, ready, coming_in(way.engine().arena(), slice, stops)),
        stops_(stops) {}

  bool step() {
    return advance([this](const std::byte* data) {
      const Stop& stop = stops_[in_.segment()];
      copy(stop.target + in_.offset(), data, in_.bytes());
      return stop.goes_on;
    });
  }

 private:
  static Segments coming_in(Arena& arena, const Slice& slice, const List<Stop>& stops) {
    Segments segments(arena, stops.size());
    for (const Stop& stop : stops) segments.add(stop.target, slice.bytes);
    return segments;
  }

  List<Stop> stops_;
};

Passing gather(const Way& way, const Call& call, const Slice& slice) {
  auto place = [&](int rank) {
    return call.output + chunk_of(way.number(rank), way.size(), call.bytes).offset + slice.offset;
  };
  int steps = way.size() - 1;
  Segments outgoing(way.engine().arena(), static_cast<size_t>(steps));
  List<Passing::Stop> stops(way.engine().arena(), static_cast<size_t>(steps));
  for (int step = 0; step < steps; ++step) {
    outgoing.add(place(way.rank() - step), slice.bytes);
    stops.add(place(way.rank() - 1 - step), step < steps - 1);
  }
  return Passing(way, call, slice, outgoing, 1, stops);
}

Passing spread(const Way& way, const Call& call, const Slice& slice) {
  bool first = way.number(way.rank()) == call.root;
  bool last = way.number(way.rank() + 1) == call.root;
  std::byte* data = call.output + slice.offset;
  Segments outgoing(way.engine().arena(), 1);
  List<Passing::Stop> stops(way.engine().arena(), 1);
  if (!last) outgoing.add(data, slice.bytes);
  if (!first) stops.add(data, !last);
  return Passing(way, call, slice, outgoing, first ? 1 : 0, stops);
}

// How many chunks pass through a rank of an all_to_all.
size_t passing_chunks(int size) {
  auto count = static_cast<size_t>(size);
  return (count - 1) * (count - 2) / 2;
}

// Every chunk goes on until it is where it belongs. In step s come the chunks of rank r-s: the
// first is for this rank, the others pass through `scratch`.
Passing exchange(const Way& way, const Call& call, const Slice& slice, const std::byte* input,
                 std::byte* scratch) {
  auto count = static_cast<size_t>(way.size());
  auto chunk = [&](int rank) {
    return chunk_of(way.number(rank), way.size(), call.bytes).offset + slice.offset;
  };
  size_t pieces = count * (count - 1) / 2;
  Segments outgoing(way.engine().arena(), pieces);
  List<Passing::Stop> stops(way.engine().arena(), pieces);
  for (int hop = 1; hop < way.size(); ++hop) {
    outgoing.add(const_cast<std::byte*>(input) + chunk(way.rank() + hop), slice.bytes);
  }
  for (int step = 1; step < way.size(); ++step) {
    stops.add(call.output + chunk(way.rank() - step), false);
    for (int further = step + 1; further < way.size(); ++further, scratch += slice.bytes) {
      outgoing.add(scratch, slice.bytes);
      stops.add(scratch, true);
    }
  }
  return Passing(way, call, slice, outgoing, count - 1, stops);
}

class Ring : public Collectives {
 public:
  Ring(Engine& engine, int rank, int size) : engine_(engine), rank_(rank), size_(size) {}

  void all_reduce(const Call& call) override {
    if (call.bytes <= kRingGather) return gather_and_reduce(call);
    lend(engine_, call.input, call.bytes);
    lend(engine_, call.output, call.bytes);
    run(call, [&](const Way& way, const Slice& slice) { return reduce_parts(way, call, slice); });
  }

  void sum_scatter(const Call& call) override {
    std::byte* passing = scratch(call.bytes);
    lend(engine_, call.input, call.bytes * static_cast<size_t>(size_));
    lend(engine_, passing, call.bytes);
    run(call, [&](const Way& way, const Slice& slice) {
      return reduce_chunks(way, call, slice, passing);
    });
  }

  void all_gather(const Call& call) override {
    copy(call.output + chunk_of(rank_, size_, call.bytes).offset, call.input, call.bytes);
    lend(engine_, call.output, call.bytes * static_cast<size_t>(size_));
    run(call, [&](const Way& way, const Slice& slice) { return gather(way, call, slice); });
  }

  void broadcast(const Call& call) override {
    lend(engine_, call.output, call.bytes);
    run(call, [&](const Way& way, const Slice& slice) { return spread(way, call, slice); });
  }

  void all_to_all(const Call& call) override {
    size_t all = call.bytes * static_cast<size_t>(size_);
    size_t passing = call.bytes * passing_chunks(size_);
    bool in_place = call.input == call.output;
    std::byte* memory = scratch(passing + (in_place ? all : 0));
    const std::byte* input = call.input;
    if (in_place) {
      copy(memory + passing, input, all);
      input = memory + passing;
    }
    lend(engine_, call.output, all);
    lend(engine_, memory, passing + (in_place ? all : 0));
    lend(engine_, input, all);
    size_t own = chunk_of(rank_, size_, call.bytes).offset;
    copy(call.output + own, input + own, call.bytes);
    run(call, [&](const Way& way, const Slice& slice) {
      return exchange(way, call, slice, input, memory + slice.offset * passing_chunks(size_));
    });
  }

 private:
  // Small arrays go round as they are and are combined in the order of ranks everywhere.
  void gather_and_reduce(const Call& call) {
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

  // `make(way, slice)` says what goes one way. Much goes both ways, half each, because a cable
  // carries as much in one direction as in the other at the same time. (Two ranks use both
  // directions of their cables anyway.)
  template <typename Make>
  void run(const Call& call, Make make) {
    Way right = Way::rightwards(engine_, rank_, size_);
    if (size_ == 2 || call.bytes < kRingBothWays) {
      auto operation = make(right, Slice{0, call.bytes});
      return engine_.run(operation);
    }
    constexpr size_t kLine = 64;  // whole elements of any type
    size_t half = call.bytes / 2 / kLine * kLine;
    BothWays<decltype(make(right, Slice()))> operation{
        make(right, Slice{0, half}),
        make(Way::leftwards(engine_, rank_, size_), Slice{half, call.bytes - half})};
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
