#include "railyard-rank/runner.h"

#include <utility>

#include "railyard-rank/tasks/task.h"
#include "railyard-rank/tasks/watched_group.h"

namespace railyard::rank {
namespace {

void run_operation(const worker::Operation& operation, uint32_t index, Context& context,
                   worker::Result& result) {
  result.operations.emplace_back().name = operation.name;
  Digest digest;
  std::unique_ptr<Task> task;
  for (uint32_t iteration = 0; iteration < operation.repeat; ++iteration) {
    context.progress.begin(index, iteration);
    context.progress.computing();
    // Within the first iteration, because a model's weights take a while.
    if (!task) task = make_task(operation, context.draw(index, 0), context);
    Finding mismatch = task->step(context.draw(index, iteration), digest);
    context.progress.finish();

    worker::OperationResult& record = result.operations.back();
    ++record.iterations;
    record.digest = digest.text();
    if (mismatch && !record.mismatch) record.mismatch = std::move(mismatch);
  }
}

}  // namespace

void run(const worker::Work& work, Group& group, worker::Progress& progress,
         worker::Result& result) {
  WatchedGroup watched(group, progress);
  Context context{watched, progress, work.seed};
  for (uint32_t i = 0; i < work.operations.size(); ++i) {
    run_operation(work.operations[i], i, context, result);
  }
}

}  // namespace railyard::rank
