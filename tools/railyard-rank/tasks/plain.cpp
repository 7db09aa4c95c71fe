// One call of the group, or none: the collectives, send_recv, barrier, sleep, compute.
#include <chrono>
#include <thread>
#include <tuple>
#include <vector>

#include "railyard-rank/element.h"
#include "railyard-rank/tasks/kinds.h"

namespace railyard::rank {
namespace {

using worker::Operation;

static_assert(static_cast<int>(ElementType::complex64) == static_cast<int>(Dtype::Complex64));
static_assert(static_cast<int>(ElementType::float16) == static_cast<int>(Dtype::Float16));

constexpr uint8_t kUntouched = 0xa5;

class Plain final : public Task {
 public:
  Plain(const Operation& operation, Context& context)
      : operation_(operation), context_(context), group_(context.group) {}

  Finding step(const Draw& draw, Digest& digest) override {
    using Kind = Operation::Kind;
    switch (operation_.kind) {
      case Kind::all_sum:
      case Kind::all_max:
      case Kind::all_min:
      case Kind::sum_scatter:
        return reduce(draw, digest);
      case Kind::all_gather:
        return all_gather(draw, digest);
      case Kind::all_to_all:
        return all_to_all(draw);
      case Kind::broadcast:
        return broadcast(draw, digest);
      case Kind::send_recv:
        return send_recv(draw, digest);
      case Kind::barrier:
        group_.barrier();
        return {};
      default:
        pass_time();
        return {};
    }
  }

 private:
  Finding reduce(Draw draw, Digest& digest) {
    draw.rounded = operation_.rounded;
    const bool scatters = operation_.kind == Operation::Kind::sum_scatter;
    const ElementType type = *element_type(operation_.dtype);
    const auto dtype = static_cast<Dtype>(type);
    const uint64_t count = operation_.count;
    const uint64_t input_count = scatters ? count * static_cast<uint64_t>(group_.size()) : count;
    const size_t bytes = count * element_bytes(type);
    const uint64_t begin = scatters ? count * static_cast<uint64_t>(group_.rank()) : 0;
    uint8_t* const input = fresh(context_.input, input_count * element_bytes(type));
    uint8_t* const output =
        operation_.in_place ? input + begin * element_bytes(type) : fresh(context_.output, bytes);
    fill_input(draw, type, group_.rank(), input_count, input);
    switch (operation_.kind) {
      case Operation::Kind::sum_scatter:
        group_.sum_scatter(input, output, bytes, dtype);
        return context_.sum_check.check(draw, type, count, output, begin);
      case Operation::Kind::all_max:
        group_.all_max(input, output, bytes, dtype);
        digest.add(output, bytes);
        return check_extremum(draw, type, count, true, output);
      case Operation::Kind::all_min:
        group_.all_min(input, output, bytes, dtype);
        digest.add(output, bytes);
        return check_extremum(draw, type, count, false, output);
      default:
        group_.all_sum(input, output, bytes, dtype);
        digest.add(output, bytes);
        return context_.sum_check.check(draw, type, count, output);
    }
  }

  Finding all_gather(const Draw& draw, Digest& digest) {
    const size_t bytes = operation_.bytes;
    uint8_t* const output = fresh(context_.output, bytes * ranks());
    uint8_t* const mine = output + bytes * static_cast<size_t>(group_.rank());
    uint8_t* const input = operation_.in_place ? mine : fresh(context_.input, bytes);
    fill_bytes(draw, group_.rank(), bytes, input);
    group_.all_gather(input, output, bytes);
    digest.add(output, bytes * ranks());
    Finding first;
    for (int rank = 0; rank < group_.size() && !first; ++rank) {
      first = check_chunk(draw, rank, output);
    }
    return first;
  }

  Finding all_to_all(const Draw& draw) {
    const size_t bytes = operation_.bytes;
    uint8_t* const input = fresh(context_.input, bytes * ranks());
    uint8_t* const output = operation_.in_place ? input : fresh(context_.output, bytes * ranks());
    for (int rank = 0; rank < group_.size(); ++rank) {
      fill_bytes(to_rank(draw, rank), group_.rank(), bytes,
                 input + bytes * static_cast<size_t>(rank));
    }
    group_.all_to_all(input, output, bytes);
    Finding first;
    for (int rank = 0; rank < group_.size() && !first; ++rank) {
      first = check_chunk(to_rank(draw, group_.rank()), rank, output);
    }
    return first;
  }

  Finding broadcast(const Draw& draw, Digest& digest) {
    uint8_t* const data = fresh(context_.output, operation_.bytes);
    if (group_.rank() == operation_.from) {
      fill_bytes(draw, operation_.from, operation_.bytes, data);
    }
    group_.broadcast(data, operation_.bytes, operation_.from);
    digest.add(data, operation_.bytes);
    return check_bytes(draw, operation_.from, operation_.bytes, data);
  }

  Finding send_recv(const Draw& draw, Digest& digest) {
    const auto [from, to, bytes] = std::tuple(operation_.from, operation_.to, operation_.bytes);
    if (group_.rank() == from) {
      uint8_t* const data = fresh(context_.input, bytes);
      fill_bytes(draw, from, bytes, data);
      group_.send(data, bytes, to);
      digest.add(data, bytes);
    } else if (group_.rank() == to) {
      uint8_t* const data = fresh(context_.output, bytes);
      group_.recv(data, bytes, from);
      digest.add(data, bytes);
      return check_bytes(draw, from, bytes, data);
    }
    return {};
  }

  size_t ranks() const { return static_cast<size_t>(group_.size()); }

  // Neither the last iteration's result nor an untouched buffer may pass for this one's.
  static uint8_t* fresh(std::vector<uint8_t>& buffer, size_t bytes) {
    buffer.assign(bytes, kUntouched);
    return buffer.data();
  }

  // What a rank sends to each other one differs.
  static Draw to_rank(Draw draw, int rank) {
    draw.seed = draw_number(draw, static_cast<uint64_t>(rank));
    return draw;
  }

  // The chunk of the output that `rank` sent.
  Finding check_chunk(const Draw& draw, int rank, const uint8_t* output) const {
    const size_t offset = operation_.bytes * static_cast<size_t>(rank);
    Finding finding = check_bytes(draw, rank, operation_.bytes, output + offset);
    if (finding) finding->index += offset;
    return finding;
  }

  void pass_time() {
    if (operation_.rank >= 0 && operation_.rank != group_.rank()) return;
    if (operation_.kind == Operation::Kind::sleep) {
      std::this_thread::sleep_for(std::chrono::nanoseconds(operation_.time_ns));
      return;
    }
    const int64_t end = worker::monotonic_ns() + operation_.time_ns;
    while (worker::monotonic_ns() < end) {
    }
  }

  const Operation& operation_;
  Context& context_;
  Group& group_;
};

}  // namespace

std::unique_ptr<Task> make_plain(const Operation& operation, Context& context) {
  return std::make_unique<Plain>(operation, context);
}

}  // namespace railyard::rank
