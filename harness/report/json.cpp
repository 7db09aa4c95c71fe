#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "generated/report_schema.h"
#include "railyard/record.h"
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
  Json crash = nullptr;
  if (rank.crash) {
    crash = {{"signal", rank.crash->signal},
             {"verb", rank.crash->verb.empty() ? Json(nullptr) : Json(rank.crash->verb)},
             {"events", rank.crash->events},
             {"core", rank.crash->core.empty() ? Json(nullptr) : Json(rank.crash->core)}};
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
          {"group_size", rank.group_size == 0 ? Json(nullptr) : Json(rank.group_size)},
          {"waited_for", rank.waited_for},
          {"error", error},
          {"operations", operations},
          {"crash", crash},
          {"output_tail", rank.output_tail}};
}

Json maybe_index(int index) { return index < 0 ? Json(nullptr) : Json(index); }

void add_record(Json& run, const RunReport& report) {
  const RunRecord& record = *report.record;
  Json cables = Json::array(), waits = Json::array();
  for (const RecordedCable& cable : record.cables) {
    int64_t changed = cable.changed_ns - report.started_ns;
    cables.push_back({{"name", cable.name},
                      {"ends", cable.ends},
                      {"now", cable.now},
                      {"plugged", cable.plugged},
                      {"changed_ns", cable.changed_ns == 0 ? Json(nullptr) : Json(changed)}});
  }
  for (const Wait& wait : record.waits) {
    bool known = wait.port >= 0 && static_cast<size_t>(wait.port) < record.ports.size();
    waits.push_back(
        {{"rank", wait.rank},
         {"for", maybe_index(wait.for_rank)},
         {"port", known ? Json(record.ports[static_cast<size_t>(wait.port)].name) : Json(nullptr)},
         {"what", wait.what}});
  }
  run["cables"] = cables;
  run["waits"] = waits;
  run["traffic"] = {{"messages", record.messages_sent},
                    {"bytes", record.bytes_sent},
                    {"messages_traced", record.messages_seen},
                    {"messages_kept", record.messages.size()},
                    {"events_missed", record.events_missed}};
}

Json run_json(const RunReport& report) {
  Json ranks = Json::array(), faults = Json::array();
  for (const RankReport& rank : report.ranks) ranks.push_back(rank_json(rank));
  for (const FaultReport& fault : report.faults) {
    faults.push_back(
        {{"do", fault.name},
         {"when", fault.when},
         {"fired", fault.fired},
         {"changed", fault.changed},
         {"at_ns", fault.fired ? Json(fault.at_ns - report.started_ns) : Json(nullptr)},
         {"evidence", fault.evidence},
         {"as_expected", fault.failure.empty()}});
  }
  int64_t start = report.started_ns;
  Json run = {
      {"file", report.file},
      {"name", report.name},
      {"summary", report.summary},
      {"seed", report.seed},
      {"began_unix_ns", report.began_unix_ns},
      {"passed", report.passed},
      {"interrupted", report.interrupted},
      {"broken", report.broken},
      {"skipped", report.skipped},
      {"unchecked", report.unchecked},
      {"failures", report.failures},
      {"expected_verdict", report.expected_verdict},
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
  if (report.record) add_record(run, report);
  return run;
}

}  // namespace

std::string json_report(const std::vector<RunReport>& reports, const Suite& suite) {
  Json runs = Json::array();
  size_t passed = 0, skipped = 0;
  for (const RunReport& report : reports) {
    runs.push_back(run_json(report));
    passed += report.passed;
    skipped += !report.skipped.empty();
  }
  Json whole = {{"railyard_report", kReportVersion},
                {"railyard", RAILYARD_VERSION},
                {"suite",
                 {{"digest", suite.digest},
                  {"scenarios", suite.digest.empty() ? reports.size() : suite.scenarios},
                  {"shard", suite.shard},
                  {"shards", suite.shards}}},
                {"passed", passed},
                {"failed", reports.size() - passed - skipped},
                {"skipped", skipped},
                {"runs", runs}};
  // Ranks may have written anything.
  return whole.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string suite_digest(const std::vector<std::string>& names) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const std::string& name : names) {
    for (char c : name + '\n') hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return fmt::format("{:016x}", hash);
}

const char* report_schema() { return kReportSchema; }

}  // namespace railyard::harness
