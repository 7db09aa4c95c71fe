// The reports that other programs read: held against their formats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "railyard/report.h"
#include "recorded_run.h"

namespace railyard::harness {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// The first place in which a report breaks its schema; empty: none.
std::string breach(const json& report) {
  json text = json::parse(report_schema());
  valijson::Schema schema;
  valijson::adapters::NlohmannJsonAdapter schema_view(text), report_view(report);
  valijson::SchemaParser().populateSchema(schema_view, schema);
  valijson::ValidationResults results;
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  if (validator.validate(schema, report_view, &results)) return "";
  valijson::ValidationResults::Error error;
  results.popError(error);
  std::string place;
  for (const std::string& each : error.context) place += each;
  return place + ": " + error.description;
}

TEST(JsonReport, KeepsToItsSchema) {
  RunReport broken;
  broken.broken = true;
  json report = json::parse(json_report({recorded_run(), broken}));
  EXPECT_EQ(breach(report), "");
  EXPECT_EQ(report["failed"], 2);
  EXPECT_EQ(report["runs"][0]["waits"][0]["port"], "node1/b");
}

TEST(JsonReport, TheSchemaWouldNoticeAnotherField) {
  json report = json::parse(json_report({recorded_run()}));
  report["runs"][0]["ranks"][0]["colour"] = "red";
  EXPECT_THAT(breach(report), HasSubstr("colour"));
}

TEST(Junit, TellsFailuresErrorsAndInterruptionsApart) {
  RunReport passed = recorded_run(), broken = recorded_run(), stopped = recorded_run();
  passed.passed = true;
  broken.broken = true;
  stopped.interrupted = true;
  std::string text = junit_report({recorded_run(), passed, broken, stopped});
  EXPECT_THAT(text, HasSubstr("tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\""));
  EXPECT_THAT(text, AllOf(HasSubstr("c2 is &lt;unplugged&gt; &amp; gone"), HasSubstr("world ??")));
  EXPECT_THAT(text, Not(HasSubstr("<unplugged>")));
}

TEST(Trace, HasAnArrowForEachMessageThatArrivedAndAMarkPerFault) {
  RunReport report = recorded_run();
  json trace = json::parse(trace_report({report}));
  std::map<std::string, int> count;
  for (const json& event : trace["traceEvents"]) ++count[event["ph"].get<std::string>()];
  auto arrived = static_cast<int>(report.record->messages.size()) - 1;
  EXPECT_EQ(count["s"], arrived);
  EXPECT_EQ(count["f"], arrived);
  EXPECT_THAT(trace.dump(), HasSubstr("fault cable.unplug"));
}

TEST(Trace, SlicesOfATrackDoNotOverlap) {
  json trace = json::parse(trace_report({recorded_run()}));
  std::map<std::pair<int, int>, double> end;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] != "X") continue;
    double& last = end[{event["pid"], event["tid"]}];
    EXPECT_GE(event["ts"].get<double>(), last - 1e-6) << event;
    last = event["ts"].get<double>() + event["dur"].get<double>();
  }
}

// What a command prints; nullopt: there is no such command.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  for (int c; (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return text;
}

class CaptureTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("tshark --version >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "tshark is not installed";
    }
    file_ = testing::TempDir() + "railyard-capture-" + std::to_string(getpid()) + ".pcapng";
    std::ofstream(file_, std::ios::binary) << capture_report({recorded_run()});
  }
  void TearDown() override {
    if (!file_.empty()) std::remove(file_.c_str());
  }
  std::string tshark(const std::string& arguments) {
    // Its guess at RPC over RDMA reads beyond the end of payloads of a few bytes.
    return output_of("tshark --disable-heuristic rpcrdma_infiniband -r " + file_ + " " + arguments +
                     " 2>/dev/null");
  }

  std::string file_;
};

TEST_F(CaptureTest, NoPacketIsMalformed) {
  EXPECT_THAT(tshark("-Y '_ws.malformed || _ws.short || !infiniband || udp.dstport != 4791'"),
              IsEmpty());
  EXPECT_THAT(tshark("-T fields -e _ws.col.Info"), Not(HasSubstr("alformed")));
}

TEST_F(CaptureTest, PacketsSayWhatTheMessagesWere) {
  std::string lines = tshark(
      "-T fields -e ip.src -e infiniband.bth.opcode -e infiniband.bth.destqp "
      "-e infiniband.bth.psn -e infiniband.reth.dmalen");
  // RC SEND only of 0 B: the first message on queue pair 16.
  EXPECT_THAT(lines, HasSubstr("10.0.0.1\t4\t0x000011\t100\t\n"));
  // Its acknowledgement.
  EXPECT_THAT(lines, HasSubstr("10.0.1.1\t17\t0x000010\t100\t\n"));
  // 1,000,001 B are 245 packets, of which the first and the last are written.
  EXPECT_THAT(lines, HasSubstr("10.0.0.1\t0\t0x000011\t105\t\n10.0.0.1\t2\t0x000011\t349\t\n"));
  EXPECT_THAT(lines, HasSubstr("\t10\t"));                           // RC RDMA WRITE only
  EXPECT_THAT(lines, HasSubstr("\t1000001\n"));                      // the length in its header
  EXPECT_THAT(lines, HasSubstr("10.0.1.2\t32\t0x000012\t400\t\n"));  // UC SEND first
  EXPECT_THAT(lines, HasSubstr("10.0.0.1\t100\t0x000015\t0\t\n"));   // UD SEND only
}

TEST_F(CaptureTest, LossAndFaultsAreRemarkedOn) {
  EXPECT_THAT(tshark("-Y 'frame.comment contains \"lost\"' -T fields -e infiniband.bth.destqp"),
              testing::StrEq("0x000013\n"));
}

}  // namespace
}  // namespace railyard::harness
