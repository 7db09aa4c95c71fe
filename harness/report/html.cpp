// The report as one HTML page: report/page with the data in it. It needs nothing else and no
// network.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "generated/report_page.h"
#include "railyard/record.h"
#include "railyard/report.h"

namespace railyard::harness {

namespace {

using Json = nlohmann::json;

// Messages that the page shows one by one, over all runs; the others show as density.
constexpr size_t kMostMessages = 60'000, kFewestMessages = 300;

// A list of names as indices into a list of words.
class Words {
 public:
  int index(const std::string& word) {
    auto [found, added] = indices_.try_emplace(word, static_cast<int>(words_.size()));
    if (added) words_.push_back(word);
    return found->second;
  }
  Json json() const { return words_; }

 private:
  std::map<std::string, int> indices_;
  std::vector<std::string> words_;
};

// Column by column, times as differences: a third of the size.
Json messages_json(const RunReport& report, size_t most, Words& words) {
  const RunRecord& record = *report.record;
  std::vector<const RecordedMessage*> shown;
  for (const RecordedMessage& message : record.messages) {
    if (message.posted_ns >= 0) shown.push_back(&message);
  }
  if (shown.size() > most)
    shown.erase(shown.begin(), shown.end() - static_cast<std::ptrdiff_t>(most));
  auto port_of = [&](uint32_t number) {
    const RecordedPair* pair = record.pair(number);
    return pair ? pair->port : -1;
  };
  Json posted = Json::array(), arrived = posted, completed = posted, from = posted, to = posted,
       bytes = posted, pair = posted, peer = posted, opcode = posted, status = posted,
       lost = posted;
  int64_t before = report.started_ns;
  for (const RecordedMessage* message : shown) {
    auto later = [&](int64_t ns) {
      return ns < 0 ? int64_t{-1} : std::max(ns - message->posted_ns, int64_t{0});
    };
    const RecordedPair* sender = record.pair(message->pair);
    posted.push_back(message->posted_ns - before);
    before = message->posted_ns;
    arrived.push_back(later(message->arrived_ns));
    completed.push_back(later(message->completed_ns));
    from.push_back(port_of(message->pair));
    to.push_back(message->peer != 0 ? port_of(message->peer) : sender ? sender->peer_port : -1);
    bytes.push_back(message->bytes);
    pair.push_back(message->pair);
    peer.push_back(message->peer);
    opcode.push_back(words.index(message->opcode));
    status.push_back(words.index(message->status));
    lost.push_back(words.index(message->lost));
  }
  return {{"posted", posted}, {"arrived", arrived}, {"completed", completed},
          {"from", from},     {"to", to},           {"bytes", bytes},
          {"pair", pair},     {"peer", peer},       {"opcode", opcode},
          {"status", status}, {"lost", lost}};
}

Json record_json(const RunReport& report, size_t most) {
  if (!report.record || report.record->nodes.empty()) return nullptr;
  const RunRecord& record = *report.record;
  Words words;
  words.index("");
  Json ports = Json::array(), ranks = Json::array(), traffic = Json::array();
  for (const RecordedPort& port : record.ports) {
    ports.push_back({{"name", port.name}, {"rank", port.rank}});
  }
  for (const std::vector<RankSpan>& spans : record.ranks) {
    Json lane = Json::array();
    for (const RankSpan& span : spans) {
      lane.push_back({span.from_ns - report.started_ns, span.to_ns - report.started_ns,
                      static_cast<int>(span.activity), span.operation, span.first_iteration,
                      span.last_iteration});
    }
    ranks.push_back(std::move(lane));
  }
  for (const Traffic& each : record.traffic) {
    traffic.push_back({each.slice, each.port, each.messages_out, each.bytes_out});
  }
  Json messages = messages_json(report, most, words);
  return {{"origin_ns", report.started_ns},
          {"nodes", record.nodes},
          {"operations", record.operations},
          {"ports", ports},
          {"ranks", ranks},
          {"messages", messages},
          {"words", words.json()},
          {"slice_ns", record.slice_ns},
          {"traffic", traffic}};
}

// As it may stand inside a script element.
std::string for_script(const std::string& json) {
  std::string out;
  for (char c : json) c == '<' ? out += "\\u003c" : out += c;
  return out;
}

}  // namespace

std::string html_report(const std::vector<RunReport>& reports) {
  size_t most = std::max(kFewestMessages, kMostMessages / std::max<size_t>(1, reports.size()));
  Json records = Json::array();
  for (const RunReport& report : reports) records.push_back(record_json(report, most));
  std::string data = "{\"summary\":" + json_report(reports) + ",\"records\":" +
                     records.dump(-1, ' ', false, Json::error_handler_t::replace) + "}";
  std::string page(reinterpret_cast<const char*>(kReportPage), sizeof kReportPage);
  size_t place = page.find(kReportPageData);
  return page.replace(place, sizeof kReportPageData - 1, for_script(data));
}

}  // namespace railyard::harness
