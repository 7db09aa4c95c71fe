#include "collectives/ring_reduce.h"

namespace railyard::ring {

namespace {

Segments going_out(Arena& arena, const Call& call, const Part& first,
                   const List<Station>& stations) {
  Segments segments(arena, stations.size());
  segments.add(outgoing(call.input + first.offset, first.bytes));
  for (size_t i = 0; i + 1 < stations.size(); ++i) {
    segments.add(stations[i].target, stations[i].part.bytes);
  }
  return segments;
}

// Finished parts may lie in their places at once: they are made of what this rank has sent.
Segments coming_in(Arena& arena, const List<Station>& stations) {
  Segments segments(arena, stations.size());
  for (const Station& station : stations) {
    segments.add(station.combined ? nullptr : station.target, station.part.bytes);
  }
  return segments;
}

}  // namespace

Combining::Combining(const Way& way, const Call& call, const Part& first,
                     const List<Station>& stations)
    : Flow(way, call, going_out(way.engine().arena(), call, first, stations), 1,
           coming_in(way.engine().arena(), stations)),
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

Combining reduce_parts(const Way& way, const Call& call, const Slice& slice) {
  auto part = [&](int index) {
    Part found = part_of(index, way.size(), slice.bytes, size_of(call.dtype));
    found.offset += slice.offset;
    return found;
  };
  int steps = way.size() - 1;
  List<Station> stations(way.engine().arena(), 2 * static_cast<size_t>(steps));
  for (int step = 0; step < 2 * steps; ++step) {
    Part next = part(way.rank() - 1 - step);
    stations.add(next, call.output + next.offset, step < steps);
  }
  return Combining(way, call, part(way.rank()), stations);
}

Combining reduce_chunks(const Way& way, const Call& call, const Slice& slice, std::byte* scratch) {
  auto chunk = [&](int index) {
    return Part{chunk_of(way.number(index), way.size(), call.bytes).offset + slice.offset,
                slice.bytes};
  };
  int steps = way.size() - 1;
  List<Station> stations(way.engine().arena(), static_cast<size_t>(steps));
  for (int step = 0; step < steps; ++step) {
    bool last = step == steps - 1;
    stations.add(chunk(way.rank() - 2 - step), (last ? call.output : scratch) + slice.offset, true);
  }
  return Combining(way, call, chunk(way.rank() - 1), stations);
}

}  // namespace railyard::ring
