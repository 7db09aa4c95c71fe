// The JSON report read back: the reverse of json.cpp. Times are counted from the first rank's
// start.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "railyard/record.h"
#include "railyard/report.h"
#include "scenario/json_schema.h"
#include "scenario/reader.h"

namespace railyard::harness {

namespace {

std::vector<std::string> texts(const Json& list) { return list.get<std::vector<std::string>>(); }

template <typename T>
std::optional<T> maybe(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional<T>(value.get<T>());
}

std::string text_or_none(const Json& value) { return maybe<std::string>(value).value_or(""); }

OperationResult read_operation(const Json& value) {
  return {value["op"], value["iterations"], value["digest"], text_or_none(value["mismatch"])};
}

RankError read_error(const Json& value) {
  return {value["code"], value["operation"], value["device"], value["peer"],
          value["rail"], value["errno"],     value["status"], value["message"]};
}

RankReport read_rank(const Json& value) {
  RankReport rank;
  rank.rank = value["rank"];
  rank.pid = value["pid"];
  rank.ok = value["ok"];
  rank.exit = maybe<int>(value["exit"]);
  rank.signal = maybe<int>(value["signal"]);
  rank.ended_by_harness = value["ended_by_harness"];
  rank.ended_by_fault = value["ended_by_fault"];
  rank.backend = value["backend"];
  rank.backend_reason = value["backend_reason"];
  rank.group_size = maybe<int>(value["group_size"]).value_or(0);
  rank.waited_for = value["waited_for"];
  rank.output_tail = value["output_tail"];
  if (!value["error"].is_null()) rank.error = read_error(value["error"]);
  if (const Json& crash = value["crash"]; !crash.is_null()) {
    rank.crash = {crash["signal"], text_or_none(crash["verb"]), texts(crash["events"]),
                  text_or_none(crash["core"])};
  }
  for (const Json& each : value["operations"]) rank.operations.push_back(read_operation(each));
  return rank;
}

FaultReport read_fault(const Json& value) {
  FaultReport fault{
      value["do"], value["when"], value["fired"], value["changed"], 0, value["evidence"], ""};
  fault.at_ns = maybe<int64_t>(value["at_ns"]).value_or(0);
  if (!value["as_expected"].get<bool>()) fault.failure = "was not as expected";
  return fault;
}

std::shared_ptr<RunRecord> read_record(const Json& run) {
  auto record = std::make_shared<RunRecord>();
  for (const Json& each : run["cables"]) {
    RecordedCable cable{each["name"], {}, {}, each["plugged"], 0};
    for (size_t end = 0; end < 2; ++end) {
      cable.ends[end] = each["ends"].at(end);
      cable.now[end] = each["now"].at(end);
    }
    cable.changed_ns = maybe<int64_t>(each["changed_ns"]).value_or(0);
    record->cables.push_back(std::move(cable));
  }
  for (const Json& each : run["waits"]) {
    Wait wait{each["rank"], maybe<int>(each["for"]).value_or(-1), -1, each["what"]};
    if (!each["port"].is_null()) {
      wait.port = static_cast<int>(record->ports.size());
      record->ports.push_back({each["port"], wait.rank});
    }
    record->waits.push_back(std::move(wait));
  }
  const Json& traffic = run["traffic"];
  record->messages_sent = traffic["messages"];
  record->bytes_sent = traffic["bytes"];
  record->messages_seen = traffic["messages_traced"];
  record->events_missed = traffic["events_missed"];
  return record;
}

RunReport read_run(const Json& run) {
  RunReport report;
  report.file = run["file"];
  report.name = run["name"];
  report.summary = run["summary"];
  report.seed = run["seed"];
  report.began_unix_ns = run["began_unix_ns"];
  report.passed = run["passed"];
  report.interrupted = run["interrupted"];
  report.broken = run["broken"];
  if (run.contains("skipped")) report.skipped = run["skipped"];
  if (run.contains("unchecked")) report.unchecked = texts(run["unchecked"]);
  report.failures = texts(run["failures"]);
  report.expected_verdict = run["expected_verdict"];
  const Json& verdict = run["verdict"];
  report.diagnosis = {verdict["name"], verdict["headline"], texts(verdict["details"]),
                      texts(verdict["names"])};
  report.was_stuck = run["stuck"];
  const Json& times = run["times_ns"];
  report.last_progress_ns = maybe<int64_t>(times["last_progress"]).value_or(0);
  report.verdict_ns = times["verdict"];
  report.ended_ns = times["end"];
  report.total_ns = times["total"];
  for (const Json& each : run["faults"]) report.faults.push_back(read_fault(each));
  for (const Json& each : run["ranks"]) report.ranks.push_back(read_rank(each));
  report.trace_tail = texts(run["trace_tail"]);
  if (run.contains("traffic")) report.record = read_record(run);
  return report;
}

}  // namespace

SuiteReport read_json_report(const std::string& file) {
  std::string text = read_file(file);
  Json json = parse_json(file, text);
  if (!json.is_object() || !json.contains("railyard_report")) {
    throw InputError(file, "", "is no report; name what `railyard run --json` wrote");
  }
  if (json["railyard_report"] != kReportVersion) {
    throw InputError(file, "railyard_report",
                     fmt::format("is version {}, this program reads version {}; use the railyard "
                                 "that wrote it",
                                 json["railyard_report"].dump(), kReportVersion));
  }
  check_against_schema({report_schema(), "report.schema.json"}, file, text);
  SuiteReport report;
  const Json& suite = json["suite"];
  report.suite = {suite["digest"], suite["scenarios"], suite["shard"], suite["shards"]};
  for (const Json& run : json["runs"]) report.runs.push_back(read_run(run));
  return report;
}

}  // namespace railyard::harness
