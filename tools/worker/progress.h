// A worker's side of its page: it says where it is, and stops where the harness asks it to.
#pragma once

#include <cstdint>
#include <string>

#include "railyard/worker.h"

namespace railyard::worker {

// CLOCK_MONOTONIC: the same for every process of a machine.
int64_t monotonic_ns();

// Used by one thread. Without a page every call is free of effect.
class Progress {
 public:
  Progress() = default;
  // Maps the page that RAILYARD_PROGRESS names. Throws BadInput when there is one that cannot be
  // used.
  static Progress from_environment();

  Progress(Progress&& other) noexcept;
  Progress& operator=(Progress&& other) noexcept;
  ~Progress();

  void connected();

  // Announces an iteration; blocks at the pause point until the harness resumes.
  void begin(uint32_t operation, uint32_t iteration);
  // The worker is busy on its own within the iteration: it waits for nobody.
  void computing();
  // Back among the others, within the same iteration.
  void waiting();
  void finish();

  // Whether the harness wants the input of this iteration to be stale; asked once per iteration.
  bool input_is_stale();

  // All is done here; waits for the others on the side channel.
  void leaving();

  // The last word: done or failed.
  void end(bool ok);

 private:
  explicit Progress(harness::WorkerPage* page);
  void pause();

  harness::WorkerPage* page_ = nullptr;
  int parent_ = 0;
};

}  // namespace railyard::worker
