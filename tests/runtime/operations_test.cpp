#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "yard.h"

namespace railyard::test {
namespace {

using testing::HasSubstr;

struct Place {
  const char* profile;
  const char* backend;
  int ranks;
  int rails;
};

std::string test_name(const testing::TestParamInfo<Place>& info) {
  const Place& place = info.param;
  std::string profile = place.profile;
  std::string name =
      fmt::format("{}_{}_{}_rails_{}", profile, place.backend, place.ranks, place.rails);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class Operations : public testing::TestWithParam<Place> {
 protected:
  Yard yard_{GetParam().profile, GetParam().ranks, GetParam().rails};

  void expect_ok(const std::vector<std::string>& steps) {
    yard_.backend(GetParam().backend);
    for (const Outcome& outcome : yard_.run(steps)) {
      EXPECT_TRUE(outcome.ok()) << "exit " << outcome.exit_code << " signal " << outcome.signal
                                << "\n"
                                << outcome.output;
    }
  }
};

TEST_P(Operations, EverySize) {
  std::vector<std::string> steps;
  for (int count : {0, 1, 3, 1007, 1008, 1009, 4032, 4033, 8191, 30001, 70001}) {
    steps.push_back("operations:float32:" + std::to_string(count));
  }
  expect_ok(steps);
}

TEST_P(Operations, EveryDtype) {
  std::vector<std::string> steps;
  for (const char* dtype : {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
                            "uint64", "float16", "bfloat16", "float64", "complex64"}) {
    steps.push_back(std::string("operations:") + dtype + ":1");
    steps.push_back(std::string("operations:") + dtype + ":5003");
  }
  expect_ok(steps);
}

INSTANTIATE_TEST_SUITE_P(
    Groups, Operations,
    testing::Values(
        Place{"apple-thunderbolt5", "mesh", 1, 1}, Place{"apple-thunderbolt5", "mesh", 2, 1},
        Place{"apple-thunderbolt5", "mesh", 4, 1}, Place{"apple-thunderbolt5", "ring", 2, 1},
        Place{"apple-thunderbolt5", "ring", 3, 1}, Place{"apple-thunderbolt5", "ring", 4, 1},
        Place{"apple-thunderbolt5", "ring", 3, 2}, Place{"connectx", "mesh", 3, 1},
        Place{"connectx", "ring", 5, 1}, Place{"permissive", "ring", 2, 3},
        Place{"permissive", "tcp", 2, 1}, Place{"permissive", "tcp", 4, 1},
        Place{"permissive", "tcp-ring", 2, 1}, Place{"permissive", "tcp-ring", 4, 1}),
    test_name);

TEST(Mismatches, NameBothSides) {
  for (const char* backend : {"mesh", "ring", "tcp", "tcp-ring"}) {
    for (auto [kind, here, there] :
         {std::tuple("max", "all_sum of 64 bytes of float32", "all_max of 64 bytes of float32"),
          std::tuple("gather", "all_gather of 64 bytes", "sum_scatter of 64 bytes of float32"),
          std::tuple("root", "broadcast of 64 bytes from rank 0", "from rank 1"),
          std::tuple("bytes:0:64", "all_sum of 0 bytes of float32", "all_sum of 64 bytes")}) {
      Yard yard("apple-thunderbolt5", 2);
      yard.backend(backend).deadline_ms(5000).start({std::string("mismatch:1:") + kind, "barrier"});
      for (const Outcome& outcome : yard.ranks().wait()) {
        EXPECT_EQ(outcome.code, "mismatched-collectives")
            << backend << " " << kind << ": " << outcome.output;
        if (std::string(kind) == "root") continue;  // a root may be done, and be found out later
        EXPECT_THAT(outcome.output, HasSubstr(here));
        EXPECT_THAT(outcome.output, HasSubstr(there));
      }
    }
  }
}

// The forms in which a round's message goes: one short one, several, and long ones.
TEST(Mismatches, OfSizesThatTravelInDifferentForms) {
  for (const char* profile : {"apple-thunderbolt5", "connectx"}) {
    for (int ranks : {2, 4}) {
      for (const char* sizes : {"64:4032", "4032:4036", "64:800000", "4036:800000"}) {
        Yard yard(profile, ranks);
        yard.backend("mesh").deadline_ms(5000).start(
            {std::string("mismatch:1:bytes:") + sizes, "barrier"});
        for (const Outcome& outcome : yard.ranks().wait()) {
          EXPECT_EQ(outcome.code, "mismatched-collectives")
              << profile << " " << ranks << " " << sizes << ": " << outcome.output;
          EXPECT_THAT(outcome.output, HasSubstr("all_sum of"));
        }
      }
    }
  }
}

}  // namespace
}  // namespace railyard::test
