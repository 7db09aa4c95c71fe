// A run's report made by hand, with a record of messages of every kind.
#pragma once

#include <memory>

#include "railyard/record.h"
#include "railyard/run.h"

namespace railyard::harness {

// Two ranks, two cables, of which c2 is unplugged by a fault 5 ms after the start; RC, UC and UD
// queue pairs 16 (rank 0) and 17 (rank 1), 18 and 19, 20 and 21.
inline std::shared_ptr<RunRecord> recorded() {
  auto record = std::make_shared<RunRecord>();
  record->nodes = {"node0", "node1"};
  record->operations = {"all_sum"};
  record->ports = {{"node0/a", 0}, {"node0/b", 0}, {"node1/a", 1}, {"node1/b", 1}};
  record->cables = {{"c1", {"node0/a", "node1/a"}, {"node0/a", "node1/a"}, true, 0},
                    {"c2", {"node0/b", "node1/b"}, {"node0/b", "node1/b"}, false, 6'000'000}};
  record->ranks = {{{1'000'000, 3'000'000, RankActivity::starting, -1, 0, 0},
                    {3'000'000, 9'000'000, RankActivity::working, 0, 0, 50}},
                   {{1'000'000, 9'000'000, RankActivity::waiting, 0, 0, 49}}};
  record->pairs = {{16, 0, 0, "RC", 100, 17, 2}, {17, 1, 2, "RC", 200, 16, 0},
                   {18, 0, 1, "UC", 300, 19, 3}, {19, 1, 3, "UC", 400, 18, 1},
                   {20, 0, 0, "UD", 0, 0, -1},   {21, 1, 2, "UD", 0, 0, -1}};
  int64_t at = 3'000'000;
  uint64_t number = 1;
  auto add = [&](uint32_t pair, uint32_t peer, const char* opcode, uint64_t bytes) {
    at += 1000;
    record->messages.push_back(
        {number++, at, at + 300, at + 500, pair, peer, 0, bytes, opcode, "IBV_WC_SUCCESS", ""});
  };
  for (const char* opcode : {"SEND", "SEND_WITH_IMM", "SEND_WITH_INV", "RDMA_WRITE",
                             "RDMA_WRITE_WITH_IMM", "RDMA_READ"}) {
    for (uint64_t bytes : {0, 1, 4096, 4097, 1'000'001}) add(16, 17, opcode, bytes);
  }
  add(16, 17, "ATOMIC_CMP_AND_SWP", 8);
  add(16, 17, "ATOMIC_FETCH_AND_ADD", 8);
  add(19, 18, "SEND", 14'336);
  add(20, 21, "SEND", 64);
  record->messages.push_back(
      {0, at + 1000, -1, at + 1100, 18, 0, 0, 64, "SEND", "IBV_WC_SUCCESS", "lost"});
  record->messages_seen = record->messages.size();
  record->slice_ns = 2'000'000;
  record->traffic = {{1, 0, 20, 81'920}, {2, 1, 1, 64}};
  record->waits = {{1, 0, 3, "1 receives not filled"}};
  return record;
}

inline RunReport recorded_run() {
  RunReport report;
  report.file = "scenarios/x.json";
  report.name = "x";
  report.summary = "Something happens.";
  report.seed = 7;
  report.failures = {"the verdict is cable-unplugged, expected ok"};
  report.expected_verdict = "ok";
  report.diagnosis = {"cable-unplugged", "c2 is <unplugged> & gone", {"detail"}, {"c2"}};
  report.was_stuck = true;
  report.began_unix_ns = 1'700'000'000'000'000'000;
  report.started_ns = 1'000'000;
  report.last_progress_ns = 11'000'000;
  report.verdict_ns = 42'000'000;
  report.ended_ns = 43'000'000;
  report.total_ns = 50'000'000;
  report.faults = {{"cable.unplug", "5 ms after the start", true, true, 6'000'000, "c2: out", ""}};
  for (int i : {0, 1}) {
    RankReport rank;
    rank.rank = i;
    rank.pid = 100 + i;
    rank.output_tail = "hello\nworld \xff\x01";
    report.ranks.push_back(rank);
  }
  report.ranks[1].error = {"peer-unreachable", "all_sum", "b", 0, 1, 110, "", "no way"};
  report.ranks[0].signal = 11;
  report.ranks[0].crash = {
      "SIGSEGV", "ibv_destroy_qp", {"9 ms queue pair 16 lost"}, "/tmp/core.100"};
  report.ranks[0].operations = {{"all_sum", 50, "0123456789abcdef", ""},
                                {"barrier", 1, "", "element 3 is 1, expected 2"}};
  report.ranks[1].waited_for = "rank 1 polls in vain";
  report.record = recorded();
  return report;
}

}  // namespace railyard::harness
