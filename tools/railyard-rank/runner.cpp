#include "railyard-rank/runner.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "railyard-rank/digest.h"

namespace railyard::rank {
namespace {

using worker::Operation;

static_assert(static_cast<int>(ElementType::complex64) == static_cast<int>(Dtype::Complex64));
static_assert(static_cast<int>(ElementType::float16) == static_cast<int>(Dtype::Float16));

// Buffers grow to the largest operation and stay: a real program's do, too.
class Runner {
 public:
  Runner(const worker::Work& work, Group& group, worker::Progress& progress, worker::Result& result)
      : work_(work), group_(group), progress_(progress), result_(result) {}

  void run_operation(uint32_t index) {
    const Operation& operation = work_.operations[index];
    result_.operations.emplace_back().name = operation.name;
    Digest digest;
    for (uint32_t iteration = 0; iteration < operation.repeat; ++iteration) {
      progress_.begin(index, iteration);
      const Draw draw{work_.seed, index, iteration, group_.size(), operation.rounded};
      auto mismatch = run_iteration(operation, draw, digest);
      progress_.finish();

      worker::OperationResult& record = result_.operations.back();
      ++record.iterations;
      record.digest = digest.text();
      if (mismatch && !record.mismatch) record.mismatch = std::move(mismatch);
    }
  }

 private:
  using Finding = std::optional<worker::Mismatch>;

  Finding run_iteration(const Operation& operation, const Draw& draw, Digest& digest) {
    switch (operation.kind) {
      case Operation::Kind::all_sum:
        return all_sum(operation, draw, digest);
      case Operation::Kind::send_recv:
        return send_recv(operation, draw, digest);
      case Operation::Kind::barrier:
        group_.barrier();
        return {};
      case Operation::Kind::sleep:
      case Operation::Kind::compute:
        pass_time(operation);
        return {};
    }
    return {};
  }

  Finding all_sum(const Operation& operation, const Draw& draw, Digest& digest) {
    progress_.computing();
    const ElementType type = *element_type(operation.dtype);
    const size_t bytes = operation.count * element_bytes(type);
    input_.resize(bytes);
    // Neither the last iteration's result nor an untouched buffer may pass for this one's.
    output_.assign(operation.in_place ? 0 : bytes, 0xa5);
    void* const output = operation.in_place ? input_.data() : output_.data();
    fill_input(draw, type, group_.rank(), operation.count, input_.data());

    progress_.waiting();
    group_.all_sum(input_.data(), output, bytes, static_cast<Dtype>(type));

    progress_.computing();
    digest.add(output, bytes);
    return sum_check_.check(draw, type, operation.count, output);
  }

  Finding send_recv(const Operation& operation, const Draw& draw, Digest& digest) {
    progress_.computing();
    if (group_.rank() == operation.from) {
      input_.resize(operation.bytes);
      fill_bytes(draw, operation.from, operation.bytes, input_.data());
      progress_.waiting();
      group_.send(input_.data(), operation.bytes, operation.to);
      digest.add(input_.data(), operation.bytes);
    } else if (group_.rank() == operation.to) {
      output_.assign(operation.bytes, 0xa5);
      progress_.waiting();
      group_.recv(output_.data(), operation.bytes, operation.from);
      digest.add(output_.data(), operation.bytes);
      return check_bytes(draw, operation.from, operation.bytes, output_.data());
    }
    return {};
  }

  void pass_time(const Operation& operation) {
    if (operation.rank >= 0 && operation.rank != group_.rank()) return;
    progress_.computing();
    if (operation.kind == Operation::Kind::sleep) {
      std::this_thread::sleep_for(std::chrono::nanoseconds(operation.time_ns));
      return;
    }
    const int64_t end = worker::monotonic_ns() + operation.time_ns;
    while (worker::monotonic_ns() < end) {
    }
  }

  const worker::Work& work_;
  Group& group_;
  worker::Progress& progress_;
  worker::Result& result_;
  SumCheck sum_check_;
  std::vector<uint8_t> input_;
  std::vector<uint8_t> output_;
};

}  // namespace

void check_work(const worker::Work& work) {
  for (size_t i = 0; i < work.operations.size(); ++i) {
    const Operation& operation = work.operations[i];
    if (operation.kind != Operation::Kind::all_sum) continue;
    if (!element_type(operation.dtype)) {
      throw worker::BadInput(
          fmt::format("workload/{}/dtype: unknown element type '{}'", i, operation.dtype));
    }
  }
}

void run(const worker::Work& work, Group& group, worker::Progress& progress,
         worker::Result& result) {
  Runner runner(work, group, progress, result);
  for (uint32_t i = 0; i < work.operations.size(); ++i) runner.run_operation(i);
}

}  // namespace railyard::rank
