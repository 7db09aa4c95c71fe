#include "collectives/ring.h"

#include <cstring>

#include "reduce/reduce.h"

namespace railyard::ring {

namespace {

// One stream to the right, one from the left. What goes out is this rank's own first segment and
// then, segment by segment, what has come in: a message may leave when the one it is made from has
// arrived. So all steps of the algorithm flow through one pipeline without a pause between them.
class Flow {
 public:
  const Rail* waits_for() {
    if (!in_.done() && !in_.front()) return &in_.rail();
    return out_.done() ? nullptr : &out_.rail();
  }

 protected:
  Flow(Engine& engine, int rank, int size, const OperationTag& tag,
       const std::vector<Segment>& outgoing, const std::vector<size_t>& incoming)
      : first_messages_(right(engine, rank, size).cut().count(outgoing.front().bytes)),
        out_(right(engine, rank, size), tag, outgoing, first_messages_),
        in_(left(engine, rank, size), tag, incoming) {}

  static Rail& right(Engine& engine, int rank, int size) {
    return *engine.link(right_of(rank, size)).rails.front();
  }
  static Rail& left(Engine& engine, int rank, int size) {
    return *engine.link(left_of(rank, size)).rails.front();
  }

  // Hands each message that has come to `take(data)` and lets the next one go.
  template <typename Take>
  bool advance(Take take) {
    in_.pump();
    out_.pump();
    while (const std::byte* data = in_.front()) {
      take(data);
      in_.pop();
      out_.allow(first_messages_ + in_.taken());
      out_.pump();
    }
    return in_.done() && out_.done();
  }

  uint32_t first_messages_;
  OutStream out_;
  InStream in_;
};

struct Part {
  size_t offset, bytes;
};

// Part `index`, counted modulo size: whole elements, almost the same number in each.
Part part_of(int index, int size, size_t bytes, size_t element) {
  index = ((index % size) + size) % size;
  size_t count = bytes / element;
  auto at = [&](int i) {
    return count * static_cast<size_t>(i) / static_cast<size_t>(size) * element;
  };
  return {at(index), at(index + 1) - at(index)};
}

// Rank r sends part r, adds what comes (part r-1, r-2, ...) to its own and passes it on; after
// size-1 steps part r+1 is complete here. The completed parts then go round the same way.
class PartsSum : public Flow {
 public:
  PartsSum(Engine& engine, int rank, int size, const void* input, void* output, size_t bytes,
           Dtype dtype)
      : PartsSum(engine, rank, size, input, output, bytes, dtype,
                 incoming_parts(rank, size, bytes, size_of(dtype))) {}

  const char* name() const { return "all_sum"; }

  bool step() {
    return advance([this](const std::byte* data) {
      size_t offset = parts_[in_.segment()].offset + in_.offset();
      if (in_.segment() < sums_) {
        sum(output_ + offset, data, input_ + offset, in_.bytes(), dtype_);
      } else {
        std::memcpy(output_ + offset, data, in_.bytes());
      }
    });
  }

 private:
  PartsSum(Engine& engine, int rank, int size, const void* input, void* output, size_t bytes,
           Dtype dtype, std::vector<Part> parts)
      : Flow(engine, rank, size, {bytes, OperationKind::all_sum, static_cast<uint8_t>(dtype)},
             outgoing(part_of(rank, size, bytes, size_of(dtype)), parts, input, output),
             sizes(parts)),
        input_(static_cast<const std::byte*>(input)),
        output_(static_cast<std::byte*>(output)),
        dtype_(dtype),
        sums_(static_cast<size_t>(size - 1)),
        parts_(std::move(parts)) {}

  static std::vector<Part> incoming_parts(int rank, int size, size_t bytes, size_t element) {
    std::vector<Part> parts;
    for (int step = 0; step < 2 * (size - 1); ++step) {
      parts.push_back(part_of(rank - 1 - step, size, bytes, element));
    }
    return parts;
  }
  static std::vector<Segment> outgoing(const Part& first, const std::vector<Part>& parts,
                                       const void* input, void* output) {
    std::vector<Segment> segments{
        {static_cast<const std::byte*>(input) + first.offset, first.bytes}};
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      segments.push_back({static_cast<std::byte*>(output) + parts[i].offset, parts[i].bytes});
    }
    return segments;
  }
  static std::vector<size_t> sizes(const std::vector<Part>& parts) {
    std::vector<size_t> bytes;
    for (const Part& part : parts) bytes.push_back(part.bytes);
    return bytes;
  }

  const std::byte* input_;
  std::byte* output_;
  Dtype dtype_;
  size_t sums_;  // of the incoming segments, those to be added
  std::vector<Part> parts_;
};

// Every rank's data goes all the way round. Also the barrier, with no data at all: when the last
// message has come, every rank has been there.
class RoundTrip : public Flow {
 public:
  RoundTrip(Engine& engine, int rank, int size, const OperationTag& tag, const void* input,
            size_t bytes, std::vector<std::byte>& gathered)
      : Flow(engine, rank, size, tag, outgoing(rank, size, input, bytes, gathered),
             std::vector<size_t>(static_cast<size_t>(size - 1), bytes)),
        name_(tag.kind == OperationKind::barrier ? "barrier" : "all_sum"),
        rank_(rank),
        size_(size),
        bytes_(bytes),
        gathered_(gathered) {}

  const char* name() const { return name_; }

  bool step() {
    return advance([this](const std::byte* data) {
      int source = rank_ - 1 - static_cast<int>(in_.segment());
      if (source < 0) source += size_;
      if (bytes_ > 0) std::memcpy(slot(gathered_, source, bytes_), data, bytes_);
    });
  }

  static std::byte* slot(std::vector<std::byte>& gathered, int source, size_t bytes) {
    return gathered.data() + static_cast<size_t>(source) * bytes;
  }

 private:
  static std::vector<Segment> outgoing(int rank, int size, const void* input, size_t bytes,
                                       std::vector<std::byte>& gathered) {
    gathered.resize(static_cast<size_t>(size) * bytes);
    if (bytes > 0) std::memcpy(slot(gathered, rank, bytes), input, bytes);
    std::vector<Segment> segments;
    for (int step = 0; step < size - 1; ++step) {
      int source = ((rank - step) % size + size) % size;
      segments.push_back({slot(gathered, source, bytes), bytes});
    }
    return segments;
  }

  const char* name_;
  int rank_, size_;
  size_t bytes_;
  std::vector<std::byte>& gathered_;
};

}  // namespace

void all_sum(Engine& engine, int rank, int size, const void* input, void* output, size_t bytes,
             Dtype dtype) {
  if (bytes > kSmallPayload) {
    PartsSum operation(engine, rank, size, input, output, bytes, dtype);
    engine.run(operation);
    return;
  }
  std::vector<std::byte> gathered;
  OperationTag tag{bytes, OperationKind::all_sum, static_cast<uint8_t>(dtype)};
  RoundTrip operation(engine, rank, size, tag, input, bytes, gathered);
  engine.run(operation);
  const std::byte* left = RoundTrip::slot(gathered, 0, bytes);
  for (int source = 1; source < size; ++source) {
    sum(output, left, RoundTrip::slot(gathered, source, bytes), bytes, dtype);
    left = static_cast<std::byte*>(output);
  }
}

void barrier(Engine& engine, int rank, int size) {
  std::vector<std::byte> gathered;
  RoundTrip operation(engine, rank, size, {0, OperationKind::barrier, 0}, nullptr, 0, gathered);
  engine.run(operation);
}

}  // namespace railyard::ring
