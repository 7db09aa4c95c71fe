// The one way in which nn refuses what does not fit.
#pragma once

#include <string>
#include <utility>

#include "railyard/error.h"

namespace railyard::nn {

// Throws: "OPERATION: PROBLEM".
[[noreturn]] inline void fail(const std::string& operation, const std::string& problem) {
  ErrorFields fields;
  fields.operation = operation;
  throw Error(ErrorCode::configuration, operation + ": " + problem, std::move(fields));
}

}  // namespace railyard::nn
