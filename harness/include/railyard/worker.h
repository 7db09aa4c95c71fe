// The contract between the harness and a worker (one rank's process).
//
// The harness starts a worker with the environment below, watches its page while it runs, reads its
// result file when it has ended, and looks at its exit code. A worker that was started by hand,
// without these variables, runs freely and reports nothing.
//
// RAILYARD_WORK      path of a JSON file, the same for every rank:
//                      {"workload": [{"op": "all_sum", ...}, ...], "seed": 1, "variant": "..."}
//                    `workload` is the scenario's; `variant` is there for railyard-faulty alone.
// RAILYARD_PROGRESS  path of a file of kWorkerPageBytes that the harness has laid out; both map it
// as
//                    one WorkerPage.
// RAILYARD_RESULT    path at which the worker leaves its result (written beside it, then renamed):
//                      {"rank": 0, "ok": true,
//                       "group": {"backend": "mesh", "why": "...", "size": 2},
//                       "operations": [{"op": "all_sum", "iterations": 200, "digest": "<16 hex>",
//                                       "mismatch": null}],
//                       "error": null}
//                    mismatch: {"iteration": 3, "index": 17, "got": "1", "expected": "2"}
//                    error:    {"code": "peer-unreachable", "operation": "all_sum",
//                               "device": "rdma_en3", "peer": 1, "rail": 0, "errno": 0,
//                               "status": "", "message": "..."}
//                    An unknown peer or rail is -1, an unknown name the empty string. A digest is
//                    the same on every rank that takes part in the operation; it is empty on the
//                    others and where there is no result (barrier, sleep, compute).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace railyard::harness {

inline constexpr char kWorkVariable[] = "RAILYARD_WORK";
inline constexpr char kProgressVariable[] = "RAILYARD_PROGRESS";
inline constexpr char kResultVariable[] = "RAILYARD_RESULT";

// Exit codes of a worker.
enum class WorkerExit : int {
  ok = 0,
  operation_failed = 1,  // the result says which and why
  bad_input = 2,         // the work, the arguments or the environment; one line on stderr
  wrong_data = 3,        // an operation's result differs from its reference
};

// Where a worker is. `done` and `failed` are set after the result file is in its place.
enum class Phase : uint32_t {
  starting = 0,   // from exec to a connected group
  connected = 1,  // the group stands, no operation has begun
  operation = 2,  // inside the iteration that `position` names
  computing = 3,  // inside it, but busy on its own: waits for nobody
  done = 4,
  failed = 5,
  leaving = 6,  // its work is done; waits on the side channel for the others to finish theirs
};

// A place in a workload: an operation's index and an iteration of it, both from 0, in one word so
// that it is read in one piece.
using Position = uint64_t;
inline constexpr Position kNowhere = ~Position{0};  // before the first operation; no pause point

constexpr Position make_position(uint32_t operation, uint32_t iteration) {
  return Position{operation} << 32 | iteration;
}
constexpr uint32_t operation_of(Position position) { return static_cast<uint32_t>(position >> 32); }
constexpr uint32_t iteration_of(Position position) { return static_cast<uint32_t>(position); }

inline constexpr uint32_t kWorkerPageVersion = 2;
inline constexpr size_t kWorkerPageBytes = 4096;

// The page. Every word has one writer and is lock-free; either side may die at any moment.
// Times are CLOCK_MONOTONIC in nanoseconds, 0: not yet.
//
// Pause points: a worker that reaches `pause_at` stops before it begins that iteration, adds one to
// `pauses`, and goes on when `resumes` has caught up. The harness may write the next `pause_at`
// before the start or while the worker is paused, never in between.
struct WorkerPage {
  // Written by the harness.
  std::atomic<uint32_t> version{kWorkerPageVersion};
  std::atomic<uint32_t> resumes{0};  // how many pauses have been released
  std::atomic<Position> pause_at{kNowhere};
  // How many inputs are to be stale: the next operation that gives one begins before the last part
  // of its input is written. Raised while the worker is paused.
  std::atomic<uint32_t> stale_requests{0};

  // Written by the worker.
  alignas(64) std::atomic<uint32_t> phase{static_cast<uint32_t>(Phase::starting)};
  std::atomic<uint32_t> pauses{0};        // how many pause points were reached
  std::atomic<uint32_t> stale_inputs{0};  // how many inputs were stale
  std::atomic<Position> position{kNowhere};
  std::atomic<uint64_t> iterations{0};      // finished, over all operations
  std::atomic<int64_t> started_at_ns{0};    // the worker looked at its page for the first time
  std::atomic<int64_t> connected_at_ns{0};  // the group stood
  std::atomic<int64_t> began_at_ns{0};      // the current iteration began
  std::atomic<int64_t> finished_at_ns{0};   // the last iteration finished
  std::atomic<int64_t> ended_at_ns{0};      // done or failed

  Phase current_phase() const { return static_cast<Phase>(phase.load(std::memory_order_acquire)); }
  bool paused() const {
    return pauses.load(std::memory_order_acquire) != resumes.load(std::memory_order_acquire);
  }
};

static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(WorkerPage) <= kWorkerPageBytes);

}  // namespace railyard::harness
