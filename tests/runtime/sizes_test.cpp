// Groups of every size, and lengths beyond 32 bits.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "transport/stream.h"
#include "yard.h"

namespace railyard::test {
namespace {

struct Place {
  const char* profile;
  const char* backend;
  int ranks;
  int processors = 1;  // that they share
};

class GroupsOfSize : public testing::TestWithParam<Place> {};

TEST_P(GroupsOfSize, DoAllOperations) {
  Yard yard(GetParam().profile, GetParam().ranks);
  for (const Outcome& outcome :
       yard.backend(GetParam().backend)
           .set("RAILYARD_PROCESSORS", std::to_string(GetParam().processors))
           .run({"operations:float32:0", "operations:int32:1", "operations:float32:5003",
                 "sums_of:4:20000:100004", "barrier:3"})) {
    EXPECT_TRUE(outcome.ok()) << outcome.exit_code << " " << outcome.signal << outcome.output;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, GroupsOfSize,
    testing::Values(Place{"apple-thunderbolt5", "mesh", 5}, Place{"apple-thunderbolt5", "mesh", 6},
                    Place{"apple-thunderbolt5", "ring", 8}, Place{"permissive", "mesh", 7},
                    Place{"permissive", "mesh", 8}, Place{"permissive", "mesh", 8, 8},
                    Place{"apple-thunderbolt5", "mesh", 4},
                    Place{"apple-thunderbolt5", "mesh", 4, 4}, Place{"permissive", "mesh", 16},
                    Place{"permissive", "ring", 16}, Place{"permissive", "ring", 32},
                    Place{"permissive", "tcp", 8}, Place{"permissive", "tcp-ring", 16}),
    [](const testing::TestParamInfo<Place>& test) {
      std::string name =
          fmt::format("{}_{}_{}", test.param.profile, test.param.backend, test.param.ranks);
      std::replace(name.begin(), name.end(), '-', '_');
      if (test.param.processors >= test.param.ranks) name += "_uncrowded";
      return name;
    });

// From kPairOnePhase on each of two does half of a sum.
TEST(Pairs, ShareTheWorkOfLongArrays) {
  for (const char* profile : {"apple-thunderbolt5", "connectx"}) {
    Yard yard(profile, 2);
    expect_ok(yard.backend("mesh").run({"operations:float32:400003", "operations:int64:131073"}));
  }
}

// mlx#4281: a transfer of 2 GiB and more. The arithmetic is that of small frames; nothing is
// copied.
TEST(Lengths, Mlx4281BeyondThirtyTwoBits) {
  constexpr size_t kBytes = (size_t{5} << 30) + 4;
  for (size_t large : {size_t{0}, size_t{4096}, size_t{256} << 10}) {
    Arena arena;
    Cut cut{large};
    Cursor cursor(cut, segments_of(arena, {{nullptr, kBytes}, {nullptr, 0}, {nullptr, kBytes}}));
    size_t total = 0;
    uint32_t messages = 0;
    for (; !cursor.done(); cursor.advance(), ++messages) {
      ASSERT_EQ(cursor.offset() + cursor.segment() * kBytes,
                total + (cursor.segment() == 2 ? kBytes : 0));
      total += cursor.bytes();
    }
    EXPECT_EQ(total, 2 * kBytes);
    EXPECT_EQ(messages, 2 * cut.count(kBytes) + 1);
  }
}

}  // namespace
}  // namespace railyard::test
