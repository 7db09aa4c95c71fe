#include "worker/result.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "railyard/worker.h"
#include "worker/work.h"

namespace railyard::worker {
namespace {

using json = nlohmann::ordered_json;  // as the contract writes it

json describe(const OperationResult& operation) {
  json mismatch;
  if (operation.mismatch) {
    mismatch = {{"iteration", operation.mismatch->iteration},
                {"index", operation.mismatch->index},
                {"got", operation.mismatch->got},
                {"expected", operation.mismatch->expected}};
  }
  return {{"op", operation.name},
          {"iterations", operation.iterations},
          {"digest", operation.digest},
          {"mismatch", mismatch}};
}

json describe(const Failure& failure) {
  return {{"code", failure.code},     {"operation", failure.operation},
          {"device", failure.device}, {"peer", failure.peer},
          {"rail", failure.rail},     {"errno", failure.error_number},
          {"status", failure.status}, {"message", failure.message}};
}

}  // namespace

bool Result::wrong_data() const {
  for (const OperationResult& operation : operations) {
    if (operation.mismatch) return true;
  }
  return false;
}

bool Result::ok() const { return !failure && !wrong_data(); }

std::string to_json(const Result& result) {
  json operations = json::array();
  for (const OperationResult& operation : result.operations) {
    operations.push_back(describe(operation));
  }
  const json document = {
      {"rank", result.rank},
      {"ok", result.ok()},
      {"group",
       {{"backend", result.backend}, {"why", result.backend_reason}, {"size", result.group_size}}},
      {"operations", operations},
      {"error", result.failure ? describe(*result.failure) : json(nullptr)},
  };
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

void report(const Result& result) {
  const std::string path = environment(harness::kResultVariable);
  if (path.empty()) return;
  const std::string unfinished = path + ".unfinished";
  std::ofstream file(unfinished);
  file << to_json(result);
  file.close();
  if (!file || std::rename(unfinished.c_str(), path.c_str()) != 0) {
    throw BadInput(path + ": cannot be written");
  }
}

int exit_code(const Result& result) {
  using harness::WorkerExit;
  if (result.failure) return static_cast<int>(WorkerExit::operation_failed);
  return static_cast<int>(result.wrong_data() ? WorkerExit::wrong_data : WorkerExit::ok);
}

}  // namespace railyard::worker
