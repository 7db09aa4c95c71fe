#include "collectives/ring_reduce.h"

namespace railyard::ring {

namespace {

Segments going_out(Engine& engine, const Call& call, const Part& first,
                   const List<Station>& stations) {
  Segments segments(engine.arena(), stations.size());
  segments.add(outgoing(call.input + first.offset, first.bytes));
  for (size_t i = 0; i + 1 < stations.size(); ++i) {
    segments.add(stations[i].target, stations[i].part.bytes);
  }
  return segments;
}

// Finished parts may lie in their places at once: they are made of what this rank has sent.
Segments coming_in(Engine& engine, const List<Station>& stations) {
  Segments segments(engine.arena(), stations.size());
  for (const Station& station : stations) {
    segments.add(station.combined ? nullptr : station.target, station.part.bytes);
  }
  return segments;
}

}  // namespace

Combining::Combining(Engine& engine, int rank, int size, const Call& call, const Part& first,
                     const List<Station>& stations)
    : Flow(engine, rank, size, call, going_out(engine, call, first, stations), 1,
           coming_in(engine, stations)),
      stations_(stations) {}

bool Combining::step() {
  return advance([this](const std::byte* data) {
    const Station& station = stations_[in_.segment()];
    std::byte* target = station.target + in_.offset();
    if (station.combined) {
      const std::byte* own = call_.input + station.part.offset + in_.offset();
      combine(call_, target, data, own, in_.bytes());
    } else {
      copy(target, data, in_.bytes());
    }
    return true;
  });
}

void reduce_parts(Engine& engine, int rank, int size, const Call& call) {
  lend(engine, call.input, call.bytes);
  lend(engine, call.output, call.bytes);
  List<Station> stations(engine.arena(), 2 * static_cast<size_t>(size - 1));
  for (int step = 0; step < 2 * (size - 1); ++step) {
    Part part = part_of(rank - 1 - step, size, call.bytes, size_of(call.dtype));
    stations.add(part, call.output + part.offset, step < size - 1);
  }
  Part first = part_of(rank, size, call.bytes, size_of(call.dtype));
  Combining operation(engine, rank, size, call, first, stations);
  engine.run(operation);
}

void reduce_chunks(Engine& engine, int rank, int size, const Call& call,
                   std::vector<std::byte>& scratch) {
  if (size > 2 && scratch.size() < call.bytes) scratch.resize(call.bytes);
  lend(engine, call.input, call.bytes * static_cast<size_t>(size));
  lend(engine, scratch.data(), scratch.size());
  List<Station> stations(engine.arena(), static_cast<size_t>(size - 1));
  for (int step = 0; step < size - 1; ++step) {
    bool last = step == size - 2;
    stations.add(chunk_of(rank - 2 - step, size, call.bytes), last ? call.output : scratch.data(),
                 true);
  }
  Combining operation(engine, rank, size, call, chunk_of(rank - 1, size, call.bytes), stations);
  engine.run(operation);
}

}  // namespace railyard::ring
