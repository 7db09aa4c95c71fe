// mlx#3654: the prefill compared a count relative to the wire's region with the region's absolute
// end.
#include "railyard-faulty/wire_plan.h"

#include <gtest/gtest.h>

#include <numeric>

namespace railyard::faulty {
namespace {

constexpr uint64_t kFrame = 4096;
constexpr uint64_t kPipeline = 2;

TEST(WirePlan, RegionsJoinIntoTheMessage) {
  for (const uint64_t bytes : {0, 1, 4095, 4096, 4097, 8192, 65536, 100001}) {
    for (size_t wires = 1; wires <= 4; ++wires) {
      uint64_t at = 0;
      for (const Region& region : stripe(bytes, wires, kFrame)) {
        EXPECT_EQ(region.begin, at);
        at = region.end;
      }
      EXPECT_EQ(at, bytes);
    }
  }
}

TEST(WirePlan, TheRightPrefillNeverAsksForMoreThanIsSent) {
  for (const uint64_t bytes : {1, 4096, 8192, 12288, 65536, 100001}) {
    for (size_t wires = 1; wires <= 4; ++wires) {
      for (const Region& region : stripe(bytes, wires, kFrame)) {
        EXPECT_EQ(prefill(region, kFrame, kPipeline, PrefillRule::region_length),
                  std::min(kPipeline, region.chunks(kFrame)));
      }
    }
  }
}

TEST(WirePlan, TheWrongPrefillIsRightOnOneWire) {
  for (const uint64_t bytes : {1, 4096, 8192, 65536}) {
    const Region all = stripe(bytes, 1, kFrame).front();
    EXPECT_EQ(prefill(all, kFrame, kPipeline, PrefillRule::absolute_end),
              prefill(all, kFrame, kPipeline, PrefillRule::region_length));
  }
}

TEST(WirePlan, TheWrongPrefillAsksTheSecondWireForOneMore) {
  const auto regions = stripe(8192, 2, kFrame);
  EXPECT_EQ(prefill(regions[0], kFrame, kPipeline, PrefillRule::absolute_end), 1u);
  EXPECT_EQ(prefill(regions[1], kFrame, kPipeline, PrefillRule::absolute_end), 2u);
  EXPECT_EQ(regions[1].chunks(kFrame), 1u);
}

TEST(WirePlan, TheWrongPrefillAsksAnEmptyWire) {
  const auto regions = stripe(1, 2, kFrame);
  EXPECT_EQ(regions[1].chunks(kFrame), 0u);
  EXPECT_EQ(prefill(regions[1], kFrame, kPipeline, PrefillRule::region_length), 0u);
  EXPECT_EQ(prefill(regions[1], kFrame, kPipeline, PrefillRule::absolute_end), 1u);
}

TEST(WirePlan, ALongMessageHidesTheMistake) {
  for (const Region& region : stripe(4 * kPipeline * kFrame, 2, kFrame)) {
    EXPECT_EQ(prefill(region, kFrame, kPipeline, PrefillRule::absolute_end),
              prefill(region, kFrame, kPipeline, PrefillRule::region_length));
  }
}

}  // namespace
}  // namespace railyard::faulty
