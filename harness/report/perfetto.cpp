// The Trace Event Format that Perfetto and Chrome open: a process per rank, in it a track of what
// the rank did, one per rail, and of hosts one of its verbs; a slice at both ends of each message,
// joined by an arrow.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "railyard/record.h"
#include "railyard/report.h"

namespace railyard::harness {

namespace {

using Json = nlohmann::json;

constexpr int kRanksPerRun = 10'000;  // process numbers of a run
constexpr int64_t kLeast = 200;       // ns that a slice shows for

double microseconds(int64_t ns) { return static_cast<double>(ns) / 1e3; }

// A slice of a rail's track.
struct Slice {
  int64_t at_ns, length_ns;
  const RecordedMessage* message;
  bool sent;
};

class RunTrace {
 public:
  RunTrace(const RunReport& report, int index, int64_t epoch_unix_ns, bool alone, Json& events)
      : report_(report),
        record_(*report.record),
        first_process_(index * kRanksPerRun + 1),
        offset_ns_(report.began_unix_ns - report.started_ns - epoch_unix_ns),
        prefix_(alone ? "" : report.name + " "),
        events_(events) {}

  void tell() {
    for (size_t rank = 0; rank < record_.ranks.size(); ++rank) tell_rank(static_cast<int>(rank));
    tell_rails();
    tell_verbs();
    for (const FaultReport& fault : report_.faults) {
      if (fault.fired) mark("fault " + fault.name, fault.at_ns, fault.evidence);
    }
    if (report_.was_stuck) mark("last progress", report_.last_progress_ns, "");
    mark("verdict " + report_.diagnosis.verdict, report_.verdict_ns, report_.diagnosis.headline);
    tell_traffic();
  }

 private:
  double time(int64_t ns) const { return microseconds(ns + offset_ns_); }
  int process(int rank) const { return first_process_ + rank; }

  void name(const char* what, int rank, int thread, const std::string& text) {
    events_.push_back({{"ph", "M"},
                       {"name", what},
                       {"pid", process(rank)},
                       {"tid", thread},
                       {"args", {{"name", text}}}});
  }

  void tell_rank(int rank) {
    const std::string& node = record_.nodes[static_cast<size_t>(rank)];
    name("process_name", rank, 0, fmt::format("{}rank {} ({})", prefix_, rank, node));
    events_.push_back({{"ph", "M"},
                       {"name", "process_sort_index"},
                       {"pid", process(rank)},
                       {"args", {{"sort_index", process(rank)}}}});
    name("thread_name", rank, 0, "activity");
    for (const RankSpan& span : record_.ranks[static_cast<size_t>(rank)]) {
      std::string text = activity_name(span.activity);
      Json arguments = Json::object();
      if (span.operation >= 0) {
        text = record_.operations[static_cast<size_t>(span.operation)] + ": " + text;
        arguments = {{"first iteration", span.first_iteration},
                     {"last iteration", span.last_iteration}};
      }
      events_.push_back({{"ph", "X"},
                         {"name", text},
                         {"cat", "rank"},
                         {"pid", process(rank)},
                         {"tid", 0},
                         {"ts", time(span.from_ns)},
                         {"dur", microseconds(span.to_ns - span.from_ns)},
                         {"args", arguments}});
    }
  }

  void tell_rails() {
    std::vector<std::vector<Slice>> rails(record_.ports.size());
    for (const RecordedMessage& message : record_.messages) {
      const RecordedPair *sender = record_.pair(message.pair), *target = record_.pair(message.peer);
      if (sender && sender->port >= 0 && message.posted_ns >= 0) {
        int64_t length = std::max(message.completed_ns - message.posted_ns, kLeast);
        rails[static_cast<size_t>(sender->port)].push_back(
            {message.posted_ns, length, &message, true});
      }
      if (target && target->port >= 0 && message.arrived_ns >= 0) {
        rails[static_cast<size_t>(target->port)].push_back(
            {message.arrived_ns, kLeast, &message, false});
      }
    }
    for (size_t port = 0; port < rails.size(); ++port) {
      int rank = record_.ports[port].rank;
      if (rank < 0 || static_cast<size_t>(rank) >= record_.ranks.size()) continue;
      name("thread_name", rank, static_cast<int>(port) + 1, record_.ports[port].name);
      tell_rail(rails[port], process(rank), static_cast<int>(port) + 1);
    }
  }

  void tell_rail(std::vector<Slice>& slices, int pid, int tid) {
    std::sort(slices.begin(), slices.end(),
              [](const Slice& a, const Slice& b) { return a.at_ns < b.at_ns; });
    for (size_t i = 0; i < slices.size(); ++i) {
      Slice& slice = slices[i];
      // Slices of one track may not overlap.
      if (i + 1 < slices.size()) {
        slice.length_ns = std::min(slice.length_ns, slices[i + 1].at_ns - slice.at_ns);
      }
      const RecordedMessage& message = *slice.message;
      Json arguments = {{"bytes", message.bytes},
                        {"from queue pair", message.pair},
                        {"to queue pair", message.peer}};
      if (*message.lost != 0) arguments["lost"] = message.lost;
      if (slice.sent && *message.status != 0) arguments["status"] = message.status;
      events_.push_back(
          {{"ph", "X"},
           {"name", fmt::format("{} {} B", slice.sent ? message.opcode : "receive", message.bytes)},
           {"cat", "message"},
           {"pid", pid},
           {"tid", tid},
           {"ts", time(slice.at_ns)},
           {"dur", microseconds(slice.length_ns)},
           {"args", arguments}});
      if (message.posted_ns < 0 || message.arrived_ns < 0 || message.number == 0) continue;
      Json arrow = {{"ph", slice.sent ? "s" : "f"},
                    {"name", "message"},
                    {"cat", "message"},
                    {"id", fmt::format("{}-{:x}", first_process_, message.number)},
                    {"pid", pid},
                    {"tid", tid},
                    {"ts", time(slice.at_ns)}};
      if (!slice.sent) arrow["bp"] = "e";
      events_.push_back(std::move(arrow));
    }
  }

  // Of hosts: a track of each rank's verbs, beside its rails'.
  void tell_verbs() {
    int thread = static_cast<int>(record_.ports.size()) + 1;
    std::vector<bool> named(record_.ranks.size());
    for (const RecordedVerb& verb : record_.verbs) {
      auto rank = static_cast<size_t>(verb.rank);
      if (rank >= named.size()) continue;
      if (!named[rank]) name("thread_name", verb.rank, thread, "verbs");
      named[rank] = true;
      events_.push_back({{"ph", "i"},
                         {"name", verb.text.substr(0, verb.text.find(' '))},
                         {"cat", "verb"},
                         {"s", "t"},
                         {"pid", process(verb.rank)},
                         {"tid", thread},
                         {"ts", time(verb.at_ns)},
                         {"args", {{"line", verb.text}}}});
    }
  }

  void tell_traffic() {
    for (const Traffic& each : record_.traffic) {
      const RecordedPort& port = record_.ports[static_cast<size_t>(each.port)];
      int64_t from = each.slice * record_.slice_ns;
      auto count = [&](int64_t at_ns, uint64_t bytes) {
        events_.push_back({{"ph", "C"},
                           {"name", port.name + " bytes out"},
                           {"pid", process(port.rank)},
                           {"ts", time(at_ns)},
                           {"args", {{"bytes", bytes}}}});
      };
      count(from, each.bytes_out);
      count(from + record_.slice_ns, 0);
    }
  }

  void mark(const std::string& text, int64_t at_ns, const std::string& why) {
    events_.push_back({{"ph", "i"},
                       {"name", text},
                       {"cat", "mark"},
                       {"s", "g"},
                       {"pid", process(0)},
                       {"tid", 0},
                       {"ts", time(at_ns)},
                       {"args", {{"evidence", why}}}});
  }

  const RunReport& report_;
  const RunRecord& record_;
  int first_process_;
  int64_t offset_ns_;
  std::string prefix_;
  Json& events_;
};

}  // namespace

std::string trace_report(const std::vector<RunReport>& reports) {
  Json events = Json::array();
  int64_t epoch = reports.empty() ? 0 : reports.front().began_unix_ns;
  for (const RunReport& report : reports) epoch = std::min(epoch, report.began_unix_ns);
  int index = 0;
  for (const RunReport& report : reports) {
    if (!report.record) continue;
    RunTrace(report, index++, epoch, reports.size() == 1, events).tell();
  }
  Json whole = {{"displayTimeUnit", "ns"}, {"traceEvents", std::move(events)}};
  return whole.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace railyard::harness
