#include "railyard/nearest.h"

#include <gtest/gtest.h>

namespace railyard::harness {
namespace {

const std::vector<std::string> kKeys = {"summary", "cluster", "workload", "faults"};

TEST(Nearest, Misspelt) {
  EXPECT_EQ(nearest("sumary", kKeys), "summary");
  EXPECT_EQ(nearest("clutser", kKeys), "cluster");
  EXPECT_EQ(nearest("fault", kKeys), "faults");
}

TEST(Nearest, NothingIsNear) {
  EXPECT_EQ(nearest("zebra", kKeys), "");
  EXPECT_EQ(suggest("zebra", kKeys), "known here: summary, cluster, workload, faults");
  EXPECT_EQ(suggest("zebra", {}), "there is none here");
}

TEST(Nearest, Suggestion) { EXPECT_EQ(suggest("sumary", kKeys), "did you mean 'summary'?"); }

}  // namespace
}  // namespace railyard::harness
