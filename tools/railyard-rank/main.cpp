// railyard-rank: one rank of a scenario. It makes the group that its environment describes, runs
// the workload, checks every result against what it computes itself, and reports.
//
// The environment: the JACCL/MLX variables and RAILYARD_BACKEND, RAILYARD_DEADLINE_MS
// (railyard/config.h) and the harness's RAILYARD_WORK, RAILYARD_PROGRESS, RAILYARD_RESULT
// (railyard/worker.h). Exit codes are those of railyard/worker.h.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <optional>

#include "railyard-rank/runner.h"
#include "railyard/config.h"
#include "railyard/error.h"
#include "railyard/group.h"
#include "railyard/worker.h"
#include "worker/progress.h"
#include "worker/result.h"
#include "worker/work.h"

namespace {

using railyard::harness::WorkerExit;
namespace worker = railyard::worker;

worker::Failure failure_of(const railyard::Error& error) {
  return {.code = railyard::name(error.code()),
          .operation = error.operation,
          .device = error.device,
          .peer = error.peer,
          .rail = error.rail,
          .error_number = error.error_number,
          .status = error.completion_status,
          .message = error.what()};
}

// Throws worker::BadInput and railyard::ConfigurationError, which are the caller's to mend; every
// other failure is a result.
void run_rank(worker::Progress& progress, worker::Result& result) {
  const std::optional<railyard::Config> config = railyard::Config::from_environment();
  if (!config) {
    throw railyard::ConfigurationError(
        "", "", "no rank, coordinator and devices in the environment; set JACCL_RANK, ...");
  }
  result.rank = config->rank;
  const worker::Work work =
      worker::read_work(worker::environment(railyard::harness::kWorkVariable), config->size());

  try {
    const std::unique_ptr<railyard::Group> group = railyard::Group::create(*config);
    result.backend = group->backend();
    result.backend_reason = group->backend_reason();
    result.group_size = group->size();
    progress.connected();
    railyard::rank::run(work, *group, progress, result);
    progress.leaving();
  } catch (const railyard::ConfigurationError&) {
    throw;
  } catch (const railyard::Error& error) {
    result.failure = failure_of(error);
  }
}

int fail_input(const std::exception& error) {
  fmt::print(stderr, "railyard-rank: {}\n", error.what());
  return static_cast<int>(WorkerExit::bad_input);
}

}  // namespace

int main() {
  try {
    worker::Progress progress = worker::Progress::from_environment();
    worker::Result result;
    try {
      run_rank(progress, result);
      worker::report(result);
      progress.end(result.ok());
    } catch (const railyard::ConfigurationError& error) {
      result.failure = failure_of(error);
      worker::report(result);
      progress.end(false);
      return fail_input(error);
    }
    if (result.failure) fmt::print(stderr, "railyard-rank: {}\n", result.failure->message);
    return worker::exit_code(result);
  } catch (const worker::BadInput& error) {
    return fail_input(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "railyard-rank: {}\n", error.what());
    return static_cast<int>(WorkerExit::operation_failed);
  }
}
