#include "worker/work.h"

#include <gtest/gtest.h>

#include <string>

namespace railyard::worker {
namespace {

std::string complaint(const std::string& workload) {
  try {
    parse_work("{\"workload\": " + workload + "}", 4);
  } catch (const BadInput& error) {
    return error.what();
  }
  return "none";
}

TEST(Work, OperationsAreRead) {
  const Work work = parse_work(R"({"seed": 7, "variant": "v", "workload": [
      {"op": "all_sum", "dtype": "float16", "count": 14336, "repeat": 200, "in_place": true},
      {"op": "send_recv", "from": 2, "to": 3, "bytes": "64KiB"},
      {"op": "compute", "time": "5ms", "rank": 1}]})",
                               4);
  EXPECT_EQ(work.seed, 7u);
  EXPECT_EQ(work.variant, "v");
  ASSERT_EQ(work.operations.size(), 3u);
  EXPECT_EQ(work.operations[0].count, 14336u);
  EXPECT_EQ(work.operations[0].repeat, 200u);
  EXPECT_TRUE(work.operations[0].in_place);
  EXPECT_EQ(work.operations[1].bytes, 65536u);
  EXPECT_EQ(work.operations[1].to, 3);
  EXPECT_EQ(work.operations[2].time_ns, 5'000'000);
}

TEST(Work, AnEmptyWorkloadIsFine) {
  EXPECT_TRUE(parse_work(R"({"workload": []})", 1).operations.empty());
  EXPECT_TRUE(read_work("", 1).operations.empty());
}

TEST(Work, PlainNumbersAreBaseUnits) {
  const Work work = parse_work(
      R"({"workload": [{"op": "sleep", "time": 1000}, {"op": "send_recv", "bytes": 10}]})", 2);
  EXPECT_EQ(work.operations[0].time_ns, 1000);
  EXPECT_EQ(work.operations[1].bytes, 10u);
}

TEST(Work, ComplaintsNameTheirPlace) {
  EXPECT_EQ(complaint(R"([{"op": "all_sun"}])"), "workload/0/op: unknown operation 'all_sun'");
  EXPECT_EQ(complaint(R"([{"op": "barrier"}, {"op": "barrier", "cuont": 1}])"),
            "workload/1: unknown key 'cuont'");
  EXPECT_EQ(complaint(R"([{"op": "send_recv", "from": 0, "to": 4}])"),
            "workload/0/to: there is no rank 4 among 4");
  EXPECT_EQ(complaint(R"([{"op": "send_recv", "from": 1, "to": 1}])"),
            "workload/0: 'from' and 'to' are two different ranks");
  EXPECT_EQ(complaint(R"([{"op": "sleep", "time": "5 parsecs"}])"),
            "workload/0/time: '5 parsecs' is no time ('5ms', '2s')");
  EXPECT_EQ(complaint(R"([{"op": "all_sum", "count": -1}])"),
            "workload/0/count: a whole number is needed");
  EXPECT_EQ(complaint(R"(["barrier"])"), "workload/0: an operation is an object");
}

TEST(Units, Times) {
  EXPECT_EQ(parse_time("7ns"), 7);
  EXPECT_EQ(parse_time("1.5us"), 1500);
  EXPECT_EQ(parse_time("2 s"), 2'000'000'000);
  EXPECT_THROW(parse_time("2KiB"), BadInput);
  EXPECT_THROW(parse_time(""), BadInput);
  EXPECT_THROW(parse_time("-1s"), BadInput);
}

TEST(Units, Sizes) {
  EXPECT_EQ(parse_bytes("64KiB"), 65536u);
  EXPECT_EQ(parse_bytes("1MB"), 1'000'000u);
  EXPECT_EQ(parse_bytes("1B"), 1u);
  EXPECT_THROW(parse_bytes("1ms"), BadInput);
}

}  // namespace
}  // namespace railyard::worker
