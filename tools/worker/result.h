// What a worker reports: the file that RAILYARD_RESULT names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace railyard::worker {

// The first element of an operation that differs from its reference.
struct Mismatch {
  uint32_t iteration = 0;
  uint64_t index = 0;
  std::string got;
  std::string expected;
};

struct OperationResult {
  std::string name;
  uint32_t iterations = 0;  // finished
  std::string digest;       // 16 hex digits, or empty where there is nothing to compare
  std::optional<Mismatch> mismatch;
};

struct Failure {
  std::string code;  // "peer-unreachable"
  std::string operation;
  std::string device;
  int peer = -1;
  int rail = -1;
  int error_number = 0;
  std::string status;  // of a completion: "IBV_WC_RNR_RETRY_EXC_ERR"
  std::string message;
};

struct Result {
  int rank = -1;
  std::string backend;
  std::string backend_reason;
  int group_size = 0;  // 0: there is no group
  std::vector<OperationResult> operations;
  std::optional<Failure> failure;

  bool ok() const;
  bool wrong_data() const;
};

std::string to_json(const Result& result);

// Writes the file in one step (beside it, then renamed). Without RAILYARD_RESULT it does nothing.
// Throws BadInput when the place cannot be written.
void report(const Result& result);

// The worker's exit code for what it reports.
int exit_code(const Result& result);

}  // namespace railyard::worker
