// What ends a faulty worker when it is not stuck.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "worker/result.h"
#include "worker/work.h"

namespace railyard::faulty {

class WorkerError : public std::runtime_error {
 public:
  explicit WorkerError(worker::Failure failure)
      : std::runtime_error(failure.message), failure_(std::move(failure)) {}

  const worker::Failure& failure() const { return failure_; }

 private:
  worker::Failure failure_;
};

}  // namespace railyard::faulty
