// The HTML report's data. That the page works with it is tested in a browser: see page_test.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "railyard/report.h"
#include "recorded_run.h"

namespace railyard::harness {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kMillisecond = 1'000'000;

std::string port_name(int node, int device) {
  return "node" + std::to_string(node) + "/rdma_en" + std::to_string(device);
}

// A mesh whose first cable is pulled after 100 ms, with so many messages before.
RunReport mesh_run(int ranks, size_t messages) {
  RunReport report = recorded_run();
  auto record = std::make_shared<RunRecord>();
  record->operations = {"all_sum"};
  record->slice_ns = 2 * kMillisecond;
  auto port = [&](int node, int peer) { return node * (ranks - 1) + peer - (peer > node); };
  report.ranks.clear();
  for (int node = 0; node < ranks; ++node) {
    record->nodes.push_back("node" + std::to_string(node));
    for (int peer = 0; peer < ranks; ++peer) {
      if (peer == node) continue;
      record->ports.push_back({port_name(node, port(node, peer) % (ranks - 1)), node});
      auto own = static_cast<uint32_t>(port(node, peer));
      auto other = static_cast<uint32_t>(port(peer, node));
      record->pairs.push_back(
          {own + 1, node, port(node, peer), "UC", 0, other + 1, port(peer, node)});
      if (peer > node) {
        std::string name = "c" + std::to_string(record->cables.size() + 1);
        std::string ends[2] = {port_name(node, port(node, peer) % (ranks - 1)),
                               port_name(peer, port(peer, node) % (ranks - 1))};
        bool first = record->cables.empty();
        record->cables.push_back(
            {name, {ends[0], ends[1]}, {ends[0], ends[1]}, !first, first ? 100 * kMillisecond : 0});
      }
      record->waits.push_back({node, peer, port(node, peer), "1 receives not filled"});
    }
    record->ranks.push_back(
        {{0, 5 * kMillisecond, RankActivity::starting, -1, 0, 0},
         {5 * kMillisecond, 100 * kMillisecond, RankActivity::working, 0, 0, 40},
         {100 * kMillisecond, 150 * kMillisecond, RankActivity::waiting, 0, 41, 41}});
    RankReport rank;
    rank.rank = node;
    rank.signal = 15;
    rank.ended_by_harness = true;
    report.ranks.push_back(rank);
  }
  std::minstd_rand random(1);
  auto pairs = static_cast<uint32_t>(record->pairs.size());
  for (size_t i = 0; i < messages; ++i) {
    int64_t at = 5 * kMillisecond + static_cast<int64_t>(95.0 * kMillisecond * i / messages);
    const RecordedPair& from = record->pairs[random() % pairs];
    bool lost = i + 3 >= messages;
    record->messages.push_back({i + 1, at, lost ? -1 : at + 20'000, at + 30'000, from.number,
                                from.peer_number, 0, 4096, "SEND", "IBV_WC_SUCCESS",
                                lost ? "lost: no way to the peer" : ""});
    if (record->traffic.empty() || record->traffic.back().slice != at / record->slice_ns) {
      for (int each = 0; each < static_cast<int>(pairs);
           each += 1 + static_cast<int>(pairs) / 500) {
        record->traffic.push_back({at / record->slice_ns, each, 10, 40'960});
      }
    }
  }
  record->messages_seen = record->messages_sent = messages;
  record->bytes_sent = messages * 4096;
  report.started_ns = 0;
  report.last_progress_ns = 100 * kMillisecond;
  report.verdict_ns = 140 * kMillisecond;
  report.ended_ns = 150 * kMillisecond;
  report.diagnosis.names = {"c1"};
  report.faults[0].at_ns = 99 * kMillisecond;
  report.faults[0].evidence = "c1: node0 - nothing (was node1)";
  report.record = record;
  return report;
}

// The data that a page carries.
json data_of(const std::string& page) {
  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  size_t from = page.find(begin) + begin.size();
  return json::parse(page.substr(from, page.find("</script>", from) - from));
}

TEST(HtmlReport, NeedsNothingFromElsewhere) {
  std::string page = html_report({recorded_run()});
  for (const char* way : {"src=", "<link", "@import", "url(h", "fetch(", "XMLHttpRequest"}) {
    std::string own = page.substr(0, page.find("// https://d3js.org")) +
                      page.substr(page.rfind("\"use strict\""));  // d3 itself can fetch
    EXPECT_THAT(own, Not(HasSubstr(way)));
  }
  EXPECT_THAT(page, Not(HasSubstr("{{")));
}

TEST(HtmlReport, NothingInTheDataEndsItsScript) {
  RunReport report = recorded_run();
  report.ranks[0].output_tail = "</script><script>alert(1)</script>";
  json data = data_of(html_report({report}));
  EXPECT_EQ(data["summary"]["runs"][0]["ranks"][0]["output_tail"], report.ranks[0].output_tail);
}

TEST(HtmlReport, MessagesAreDifferencesInTime) {
  RunReport report = recorded_run();
  json messages = data_of(html_report({report}))["records"][0]["messages"];
  EXPECT_EQ(messages["posted"].size(), report.record->messages.size());
  int64_t at = 0;
  for (const json& step : messages["posted"]) at += step.get<int64_t>();
  EXPECT_EQ(at, report.record->messages.back().posted_ns - report.started_ns);
  EXPECT_EQ(messages["arrived"][0], 300);
  EXPECT_EQ(messages["arrived"].back(), -1);
}

TEST(HtmlReport, AMillionMessagesStaySmall) {
  std::string page = html_report({mesh_run(4, 1'000'000)});
  EXPECT_LT(page.size(), 8u << 20);
  json data = data_of(page);
  EXPECT_EQ(data["summary"]["runs"][0]["traffic"]["messages"], 1'000'000);
  EXPECT_LT(data["records"][0]["messages"]["posted"].size(), 100'000u);
}

// Writes the pages that the browser test opens.
TEST(HtmlReport, Pages) {
  const char* folder = std::getenv("RAILYARD_PAGES");
  if (!folder) GTEST_SKIP() << "RAILYARD_PAGES names no folder to write pages to";
  auto write = [&](const std::string& name, const std::vector<RunReport>& reports) {
    std::ofstream(std::string(folder) + "/" + name) << html_report(reports);
  };
  RunReport passed = mesh_run(2, 200), bare = recorded_run();
  passed.passed = true;
  bare.record = nullptr;
  write("two-ranks.html", {mesh_run(2, 900)});
  write("sixty-four-ranks.html", {mesh_run(64, 20'000)});
  write("a-million-messages.html", {mesh_run(4, 1'000'000)});
  write("suite.html", {mesh_run(2, 300), passed, recorded_run(), bare, mesh_run(8, 3'000)});
}

}  // namespace
}  // namespace railyard::harness
