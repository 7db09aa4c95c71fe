// The programs in runtime/examples: one for each face of the runtime.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "yard.h"

namespace railyard::test {
namespace {

using testing::HasSubstr;

void expect_ok(const char* program, const char* backend, int ranks) {
  Yard yard("apple-thunderbolt5", ranks);
  for (const Outcome& outcome : yard.backend(backend).program(program).run({})) {
    EXPECT_TRUE(outcome.ok()) << program << " exit " << outcome.exit_code << "\n" << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("ok\n"));
  }
}

TEST(Examples, ExpertParallelInC) {
  for (int ranks : {1, 2, 4}) expect_ok(RAILYARD_TEST_EXAMPLE_C, "any", ranks);
  expect_ok(RAILYARD_TEST_EXAMPLE_C, "tcp", 2);
}

TEST(Examples, GradientsAsForJaccl) {
  for (int ranks : {1, 3}) expect_ok(RAILYARD_TEST_EXAMPLE_JACCL, "any", ranks);
}

TEST(Examples, OwnAllGatherNeedsNoCoordinator) {
  char directory[] = "/tmp/railyard-test-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  Yard yard("apple-thunderbolt5", 3);
  yard.program(RAILYARD_TEST_EXAMPLE_ALL_GATHER).set("JACCL_COORDINATOR", "");
  for (const Outcome& outcome : yard.run({directory})) {
    EXPECT_TRUE(outcome.ok()) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("ok\n"));
  }
  std::filesystem::remove_all(directory);
}

TEST(Examples, TensorAndPipelineParallel) {
  for (const char* backend : {"any", "tcp"}) expect_ok(RAILYARD_TEST_EXAMPLE_CPP, backend, 4);
}

TEST(Examples, SayWhatIsMissing) {
  Yard yard("apple-thunderbolt5", 1);
  auto outcomes = yard.program(RAILYARD_TEST_EXAMPLE_C).matrix("").set("JACCL_RANK", "").run({});
  EXPECT_EQ(outcomes[0].exit_code, 1);
}

}  // namespace
}  // namespace railyard::test
