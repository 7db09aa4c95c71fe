#include "collectives/ring_reduce.h"

namespace railyard::ring {

namespace {

std::vector<Segment> outgoing(const Call& call, const Part& first,
                              const std::vector<Station>& stations) {
  std::vector<Segment> segments{{call.input + first.offset, first.bytes}};
  for (size_t i = 0; i + 1 < stations.size(); ++i) {
    segments.push_back({stations[i].target, stations[i].part.bytes});
  }
  return segments;
}

std::vector<size_t> incoming(const std::vector<Station>& stations) {
  std::vector<size_t> bytes;
  for (const Station& station : stations) bytes.push_back(station.part.bytes);
  return bytes;
}

}  // namespace

Combining::Combining(Engine& engine, int rank, int size, const Call& call, const Part& first,
                     const std::vector<Station>& stations)
    : Flow(engine, rank, size, call, outgoing(call, first, stations), 1, incoming(stations)),
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
  std::vector<Station> stations;
  for (int step = 0; step < 2 * (size - 1); ++step) {
    Part part = part_of(rank - 1 - step, size, call.bytes, size_of(call.dtype));
    stations.push_back({part, call.output + part.offset, step < size - 1});
  }
  Part first = part_of(rank, size, call.bytes, size_of(call.dtype));
  Combining operation(engine, rank, size, call, first, stations);
  engine.run(operation);
}

void reduce_chunks(Engine& engine, int rank, int size, const Call& call,
                   std::vector<std::byte>& scratch) {
  if (size > 2 && scratch.size() < call.bytes) scratch.resize(call.bytes);
  std::vector<Station> stations;
  for (int step = 0; step < size - 1; ++step) {
    bool last = step == size - 2;
    stations.push_back(
        {chunk_of(rank - 2 - step, size, call.bytes), last ? call.output : scratch.data()});
  }
  Combining operation(engine, rank, size, call, chunk_of(rank - 1, size, call.bytes), stations);
  engine.run(operation);
}

}  // namespace railyard::ring
