#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "yard.h"

namespace railyard::test {
namespace {

struct Place {
  const char* profile;
  const char* backend;
  int ranks;
};

std::ostream& operator<<(std::ostream& out, const Place& place) {
  return out << place.profile << "_" << place.backend << "_" << place.ranks;
}

std::string test_name(const testing::TestParamInfo<Place>& info) {
  std::string name = testing::PrintToString(info.param);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class AllSum : public testing::TestWithParam<Place> {
 protected:
  Yard yard_{GetParam().profile, GetParam().ranks};

  void expect_ok(const std::vector<std::string>& steps) {
    yard_.backend(GetParam().backend);
    for (const Outcome& outcome : yard_.run(steps)) {
      EXPECT_TRUE(outcome.ok()) << "exit " << outcome.exit_code << " signal " << outcome.signal
                                << "\n"
                                << outcome.output;
    }
  }
};

TEST_P(AllSum, SizesAroundEveryBoundary) {
  expect_ok(
      {"sums_of:4:8:4028:4032:4036:8064:16128:16132:32768:32772:65536:261000:262080:262084:"
       "1048576:3145732"});
}

TEST_P(AllSum, EveryDtype) {
  std::vector<std::string> steps;
  for (const char* dtype : {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
                            "uint64", "float16", "bfloat16", "float32", "float64", "complex64"}) {
    steps.push_back(std::string("all_sum:") + dtype + ":3:1");
    steps.push_back(std::string("all_sum:") + dtype + ":30001:1");
    steps.push_back(std::string("all_sum:") + dtype + ":30001:1:inplace");
  }
  expect_ok(steps);
}

TEST_P(AllSum, ManyInARow) {
  // On a busy machine each step round a ring may cost a time slice of everybody: few enough for
  // that.
  expect_ok({"all_sum:float16:1:150", "barrier:50", "all_sum:float16:14336:40:inplace", "barrier",
             "all_sum:float32:200000:5"});
}

TEST_P(AllSum, SameBitsOnEveryRankAndEveryTime) {
  std::string first;
  yard_.backend(GetParam().backend);
  for (const Outcome& outcome : yard_.run({"digest:5", "digest:9000", "digest:300000", "digest:5",
                                           "digest:9000", "digest:300000"})) {
    ASSERT_TRUE(outcome.ok()) << outcome.output;
    if (first.empty()) first = outcome.output;
    EXPECT_EQ(outcome.output, first);
    std::string half = outcome.output.substr(0, outcome.output.size() / 2);
    EXPECT_EQ(outcome.output,
              half.substr(0, half.rfind('\n') + 1) + half.substr(0, half.rfind('\n') + 1) + "ok\n");
  }
}

TEST_P(AllSum, BuiltForTheSystemsLibrary) {
  yard_.build(Build::loaded);
  expect_ok({"all_sum:float32:1000:20", "all_sum:bfloat16:100000:2", "barrier"});
}

INSTANTIATE_TEST_SUITE_P(
    Groups, AllSum,
    testing::Values(Place{"apple-thunderbolt5", "mesh", 1}, Place{"apple-thunderbolt5", "mesh", 2},
                    Place{"apple-thunderbolt5", "mesh", 3}, Place{"apple-thunderbolt5", "mesh", 4},
                    Place{"apple-thunderbolt5", "ring", 2}, Place{"apple-thunderbolt5", "ring", 3},
                    Place{"apple-thunderbolt5", "ring", 4}, Place{"connectx", "mesh", 2},
                    Place{"connectx", "mesh", 4}, Place{"connectx", "ring", 2},
                    Place{"connectx", "ring", 4}),
    test_name);

const std::vector<std::string> kAllSorts = {"sums_of:4:4032:4036:20000:70000:300000:2000000",
                                            "move:0:1:100000:5", "move:1:0:10:100", "barrier",
                                            "all_sum:bfloat16:5000:100"};

void expect_all_sorts(Yard& yard) {
  for (const char* backend : {"mesh", "ring"}) {
    yard.backend(backend);
    for (const Outcome& outcome : yard.run(kAllSorts)) {
      EXPECT_TRUE(outcome.ok()) << backend << " exit " << outcome.exit_code << "\n"
                                << outcome.output;
    }
  }
}

// macOS 26.2 takes one frame per message.
TEST(Devices, ThatTakeSingleFrames) {
  Yard yard("apple-thunderbolt5", 3);
  yard.set("RAILYARD_MAX_MESSAGE_BYTES", "4096");
  expect_all_sorts(yard);
}

// ds4#1024: unreliable connections that drop a message without a receive, and say nothing.
TEST(Devices, ThatDropWhatNoReceiveWaitsFor) {
  Yard yard("connectx", 3, 1, R"({"rules": {"transports": {"is": ["UC"]}}})");
  expect_all_sorts(yard);
}

TEST(Devices, ThatGrantTheDepthThatWasAskedAndNoMore) {
  Yard yard("apple-thunderbolt5", 3, 1, R"({"rules": {"min_granted": {"is": 1}}})");
  expect_all_sorts(yard);
}

TEST(Devices, WithShallowQueues) {
  Yard yard("apple-thunderbolt5", 3, 1,
            R"({"rules": {"min_granted": {"is": 1}, "max_requests": {"is": 100}}})");
  expect_all_sorts(yard);
}

// mlx#3467
TEST(Devices, WithLinkLocalAddressesOnly) {
  Yard yard("apple-thunderbolt5", 3, 1, R"({"rules": {"ipv4_gid": {"is": false}}})");
  expect_all_sorts(yard);
}

TEST(Devices, WithoutLimits) {
  Yard yard("permissive", 3);
  expect_all_sorts(yard);
}

// One context per device (mlx#3245): a second group must share the first one's.
TEST(Groups, TwoOfAProcessShareItsDevices) {
  Yard yard("apple-thunderbolt5", 2);
  harness::ReservedPort port(true);
  std::string second = "second:" + std::to_string(port.number());
  for (const Outcome& outcome : yard.run({"all_sum:int32:100:1", second, "all_sum:int32:100:1"})) {
    EXPECT_TRUE(outcome.ok()) << outcome.output;
  }
}

TEST(Groups, CallsFromSeveralThreadsAreSerialised) {
  for (const char* backend : {"mesh", "ring"}) {
    Yard yard("apple-thunderbolt5", 3);
    for (const Outcome& outcome : yard.backend(backend).run({"threads:4:30", "barrier"})) {
      EXPECT_TRUE(outcome.ok()) << outcome.output;
    }
  }
}

}  // namespace
}  // namespace railyard::test
