#include "run/results.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace railyard::harness {

using nlohmann::json;

namespace {

RankError read_error(const json& value) {
  RankError error;
  error.code = value.value("code", "");
  error.operation = value.value("operation", "");
  error.device = value.value("device", "");
  error.peer = value.value("peer", -1);
  error.rail = value.value("rail", -1);
  error.error_number = value.value("errno", 0);
  error.status = value.value("status", "");
  error.message = value.value("message", "");
  return error;
}

OperationResult read_operation(const json& value) {
  OperationResult result;
  result.op = value.value("op", "");
  result.iterations = value.value("iterations", uint64_t{0});
  result.digest = value.value("digest", "");
  auto mismatch = value.find("mismatch");
  if (mismatch != value.end() && mismatch->is_object()) {
    result.mismatch = fmt::format("{}, iteration {}: element {} is {}, expected {}", result.op,
                                  mismatch->value("iteration", int64_t{-1}),
                                  mismatch->value("index", int64_t{-1}),
                                  mismatch->value("got", "?"), mismatch->value("expected", "?"));
  }
  return result;
}

}  // namespace

void read_result(const std::string& file, RankReport& report) {
  std::ifstream stream(file);
  if (!stream) return;
  try {
    json value = json::parse(stream);
    report.ok = value.value("ok", false);
    if (value.contains("group") && value["group"].is_object()) {
      report.backend = value["group"].value("backend", "");
      report.backend_reason = value["group"].value("why", "");
      report.group_size = value["group"].value("size", 0);
    }
    if (value.contains("operations")) {
      for (const json& each : value["operations"])
        report.operations.push_back(read_operation(each));
    }
    if (value.contains("error") && value["error"].is_object())
      report.error = read_error(value["error"]);
    report.has_result = true;
  } catch (const json::exception&) {
    // A rank that was killed while it wrote: as if it had left nothing.
    report.ok = false;
    report.operations.clear();
    report.error.reset();
  }
}

std::string work_text(const Scenario& scenario, uint64_t seed) {
  json work = {{"workload", json::parse(scenario.workload_json)}, {"seed", seed}};
  if (!scenario.variant.empty()) work["variant"] = scenario.variant;
  return work.dump();
}

}  // namespace railyard::harness
