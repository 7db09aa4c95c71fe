#include <nlohmann/json.hpp>

#include "railyard/report.h"

namespace railyard::harness {

using Json = nlohmann::ordered_json;

namespace {

template <typename T>
Json maybe(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json rank_json(const RankReport& rank) {
  Json operations = Json::array();
  for (const OperationResult& each : rank.operations) {
    operations.push_back(
        {{"op", each.op},
         {"iterations", each.iterations},
         {"digest", each.digest},
         {"mismatch", each.mismatch.empty() ? Json(nullptr) : Json(each.mismatch)}});
  }
  Json error = nullptr;
  if (rank.error) {
    error = {{"code", rank.error->code},     {"operation", rank.error->operation},
             {"device", rank.error->device}, {"peer", rank.error->peer},
             {"rail", rank.error->rail},     {"errno", rank.error->error_number},
             {"status", rank.error->status}, {"message", rank.error->message}};
  }
  return {{"rank", rank.rank},
          {"pid", rank.pid},
          {"ok", rank.ok},
          {"exit", maybe(rank.exit)},
          {"signal", maybe(rank.signal)},
          {"ended_by_harness", rank.ended_by_harness},
          {"ended_by_fault", rank.ended_by_fault},
          {"backend", rank.backend},
          {"backend_reason", rank.backend_reason},
          {"waited_for", rank.waited_for},
          {"error", error},
          {"operations", operations},
          {"output_tail", rank.output_tail}};
}

Json run_json(const RunReport& report) {
  Json ranks = Json::array(), faults = Json::array();
  for (const RankReport& rank : report.ranks) ranks.push_back(rank_json(rank));
  for (const FaultReport& fault : report.faults) {
    faults.push_back({{"do", fault.name},
                      {"when", fault.when},
                      {"fired", fault.fired},
                      {"changed", fault.changed},
                      {"at_ns", fault.at_ns - report.started_ns},
                      {"evidence", fault.evidence},
                      {"as_expected", fault.failure.empty()}});
  }
  int64_t start = report.started_ns;
  return {
      {"file", report.file},
      {"name", report.name},
      {"summary", report.summary},
      {"seed", report.seed},
      {"passed", report.passed},
      {"interrupted", report.interrupted},
      {"failures", report.failures},
      {"verdict",
       {{"name", report.diagnosis.verdict},
        {"headline", report.diagnosis.headline},
        {"details", report.diagnosis.details},
        {"names", report.diagnosis.names}}},
      {"stuck", report.was_stuck},
      {"times_ns",
       {{"last_progress", report.was_stuck ? Json(report.last_progress_ns - start) : Json(nullptr)},
        {"verdict", report.verdict_ns - start},
        {"progress_to_verdict",
         report.was_stuck ? Json(report.verdict_ns - report.last_progress_ns) : Json(nullptr)},
        {"end", report.ended_ns - start},
        {"total", report.total_ns}}},
      {"faults", faults},
      {"ranks", ranks},
      {"trace_tail", report.trace_tail},
      {"again", command_again(report)}};
}

}  // namespace

std::string json_report(const std::vector<RunReport>& reports) {
  Json runs = Json::array();
  size_t passed = 0;
  for (const RunReport& report : reports) {
    runs.push_back(run_json(report));
    passed += report.passed;
  }
  Json whole = {{"railyard_report", kReportVersion},
                {"passed", passed},
                {"failed", reports.size() - passed},
                {"runs", runs}};
  // Ranks may have written anything.
  return whole.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace railyard::harness
