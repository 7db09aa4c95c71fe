#include "railyard/exec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace railyard::harness {
namespace {

using testing::ElementsAre;

TEST(Arguments, ServerRunsWithoutThePeer) {
  std::vector<std::string> arguments = {"-p", "{port}", "{peer}"};
  EXPECT_THAT(arguments_of(arguments, 0, 2, "node0", 4242), ElementsAre("-p", "4242"));
  EXPECT_THAT(arguments_of(arguments, 1, 2, "node1", 4242), ElementsAre("-p", "4242", "127.0.0.1"));
}

TEST(Arguments, AllPlaceholders) {
  EXPECT_THAT(arguments_of({"{rank}/{size}@{node}", "{rank}{rank}"}, 3, 8, "mac", 1),
              ElementsAre("3/8@mac", "33"));
}

}  // namespace
}  // namespace railyard::harness
