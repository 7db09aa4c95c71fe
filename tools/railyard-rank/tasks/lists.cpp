// Lists of operations: a loop does all of them, a mix one of them by chance.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "railyard-rank/tasks/kinds.h"

namespace railyard::rank {
namespace {

using worker::Operation;

// The inputs of a list's entry differ from those of every other entry and pass.
Draw entry_draw(const Draw& draw, size_t entry, uint32_t iteration) {
  Draw result = draw;
  result.seed = draw_number(draw, entry + 1);
  result.iteration = iteration;
  return result;
}

bool takes_all_ranks(const Operation& operation) {
  return operation.kind != Operation::Kind::send_recv;
}

class List : public Task {
 public:
  List(const Operation& operation, const Draw& draw, Context& context)
      : operation_(operation), context_(context) {
    for (size_t i = 0; i < operation.operations.size(); ++i) {
      tasks_.push_back(make_task(operation.operations[i], entry_draw(draw, i, 0), context));
    }
  }

 protected:
  // All iterations of one entry.
  Finding run_entry(size_t entry, Task& task, const Draw& draw, Digest& digest) {
    const Operation& operation = operation_.operations[entry];
    Finding first;
    for (uint32_t i = 0; i < operation.repeat; ++i) {
      Digest own;  // of what only two ranks see
      const Draw inputs = entry_draw(draw, entry, i);
      Finding finding = task.step(inputs, takes_all_ranks(operation) ? digest : own);
      if (!finding || first) continue;
      first = std::move(finding);
      first->iteration = draw.iteration;
      first->expected +=
          fmt::format(" (operations/{}, {}, iteration {})", entry, operation.name, i);
    }
    return first;
  }

  const Operation& operation_;
  Context& context_;
  std::vector<std::unique_ptr<Task>> tasks_;
};

class Loop final : public List {
 public:
  using List::List;
  Finding step(const Draw& draw, Digest& digest) override {
    Finding first;
    for (size_t i = 0; i < tasks_.size(); ++i) {
      Finding finding = run_entry(i, *tasks_[i], draw, digest);
      if (!first) first = std::move(finding);
    }
    return first;
  }
};

class Mix final : public List {
 public:
  using List::List;
  Finding step(const Draw& draw, Digest& digest) override {
    const auto entry = static_cast<size_t>(draw_number(draw, 0) % tasks_.size());
    if (!operation_.random_sizes) return run_entry(entry, *tasks_[entry], draw, digest);
    Operation smaller = operation_.operations[entry];
    smaller.count = size_up_to(smaller.count, draw);
    smaller.bytes = size_up_to(smaller.bytes, draw);
    return run_entry(entry, *make_task(smaller, draw, context_), draw, digest);
  }

 private:
  // Small ones as often as large ones: each power of two is as likely as the next.
  static uint64_t size_up_to(uint64_t largest, const Draw& draw) {
    const uint64_t random = draw_number(draw, ~uint64_t{0});
    const uint64_t power = (random >> 48) % (static_cast<uint64_t>(std::bit_width(largest)) + 1);
    return std::min(random & ((uint64_t{1} << power) - 1), largest);
  }
};

}  // namespace

std::unique_ptr<Task> make_loop(const Operation& operation, const Draw& draw, Context& context) {
  return std::make_unique<Loop>(operation, draw, context);
}

std::unique_ptr<Task> make_mix(const Operation& operation, const Draw& draw, Context& context) {
  return std::make_unique<Mix>(operation, draw, context);
}

}  // namespace railyard::rank
