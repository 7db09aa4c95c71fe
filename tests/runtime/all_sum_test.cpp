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
  expect_ok({"all_sum:float16:1:500", "barrier:200", "all_sum:float16:14336:100:inplace", "barrier",
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

// macOS 26.2 takes one frame per message.
TEST(AllSumOfSingleFrames, AreRight) {
  Yard yard("apple-thunderbolt5", 3);
  yard.set("RAILYARD_MAX_MESSAGE_BYTES", "4096");
  for (const Outcome& outcome :
       yard.run({"all_sum:float32:100000:3", "move:0:1:100000", "barrier"})) {
    EXPECT_TRUE(outcome.ok()) << outcome.output;
  }
}

}  // namespace
}  // namespace railyard::test
