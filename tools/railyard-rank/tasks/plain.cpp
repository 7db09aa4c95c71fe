// One call of the group, or none: all_sum, send_recv, barrier, sleep, compute.
#include <chrono>
#include <thread>
#include <tuple>

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
    switch (operation_.kind) {
      case Operation::Kind::all_sum:
        return all_sum(draw, digest);
      case Operation::Kind::send_recv:
        return send_recv(draw, digest);
      case Operation::Kind::barrier:
        group_.barrier();
        return {};
      default:
        pass_time();
        return {};
    }
  }

 private:
  Finding all_sum(Draw draw, Digest& digest) {
    draw.rounded = operation_.rounded;
    const ElementType type = *element_type(operation_.dtype);
    const size_t bytes = operation_.count * element_bytes(type);
    context_.input.resize(bytes);
    // Neither the last iteration's result nor an untouched buffer may pass for this one's.
    context_.output.assign(operation_.in_place ? 0 : bytes, kUntouched);
    void* const input = context_.input.data();
    void* const output = operation_.in_place ? input : context_.output.data();
    fill_input(draw, type, group_.rank(), operation_.count, input);
    group_.all_sum(input, output, bytes, static_cast<Dtype>(type));
    digest.add(output, bytes);
    return context_.sum_check.check(draw, type, operation_.count, output);
  }

  Finding send_recv(const Draw& draw, Digest& digest) {
    const auto [from, to, bytes] = std::tuple(operation_.from, operation_.to, operation_.bytes);
    if (group_.rank() == from) {
      context_.input.resize(bytes);
      fill_bytes(draw, from, bytes, context_.input.data());
      group_.send(context_.input.data(), bytes, to);
      digest.add(context_.input.data(), bytes);
    } else if (group_.rank() == to) {
      context_.output.assign(bytes, kUntouched);
      group_.recv(context_.output.data(), bytes, from);
      digest.add(context_.output.data(), bytes);
      return check_bytes(draw, from, bytes, context_.output.data());
    }
    return {};
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
