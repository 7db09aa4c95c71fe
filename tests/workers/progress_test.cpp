// The page as the harness sees it, and the pause point between the two.
#include "worker/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>

#include "worker/work.h"

namespace railyard::worker {
namespace {

using harness::make_position;
using harness::Phase;
using harness::WorkerPage;

// The harness's side: a laid-out page that the environment names.
class ProgressTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "worker-page-XXXXXX";
    const int file = mkstemp(path.data());
    ASSERT_GE(file, 0);
    ASSERT_EQ(ftruncate(file, harness::kWorkerPageBytes), 0);
    void* memory =
        mmap(nullptr, harness::kWorkerPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ASSERT_NE(memory, MAP_FAILED);
    close(file);
    page_ = new (memory) WorkerPage;
    path_ = path;
    setenv(harness::kProgressVariable, path_.c_str(), 1);
  }

  void TearDown() override {
    unsetenv(harness::kProgressVariable);
    munmap(page_, harness::kWorkerPageBytes);
    unlink(path_.c_str());
  }

  // Guarded by the time limit of the test program.
  void wait_until_paused() const {
    while (!page_->paused()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  WorkerPage* page_ = nullptr;
  std::string path_;
};

TEST_F(ProgressTest, ThePageFollowsTheWorker) {
  Progress progress = Progress::from_environment();
  EXPECT_EQ(page_->current_phase(), Phase::starting);
  EXPECT_EQ(page_->position.load(), harness::kNowhere);
  progress.connected();
  EXPECT_EQ(page_->current_phase(), Phase::connected);
  progress.begin(1, 2);
  EXPECT_EQ(page_->current_phase(), Phase::operation);
  EXPECT_EQ(page_->position.load(), make_position(1, 2));
  progress.computing();
  EXPECT_EQ(page_->current_phase(), Phase::computing);
  progress.finish();
  EXPECT_EQ(page_->iterations.load(), 1u);
  progress.leaving();
  EXPECT_EQ(page_->current_phase(), Phase::leaving);
  progress.end(true);
  EXPECT_EQ(page_->current_phase(), Phase::done);
  EXPECT_LE(page_->started_at_ns.load(), page_->connected_at_ns.load());
  EXPECT_LE(page_->connected_at_ns.load(), page_->began_at_ns.load());
  EXPECT_LE(page_->began_at_ns.load(), page_->finished_at_ns.load());
  EXPECT_LE(page_->finished_at_ns.load(), page_->ended_at_ns.load());
}

TEST_F(ProgressTest, TheWorkerStopsAtItsPausePointAndGoesOn) {
  page_->pause_at = make_position(0, 3);
  Progress progress = Progress::from_environment();
  std::thread worker([&] {
    for (uint32_t i = 0; i < 6; ++i) {
      progress.begin(0, i);
      progress.finish();
    }
  });
  wait_until_paused();
  EXPECT_EQ(page_->iterations.load(), 3u) << "it stops before it begins the iteration";
  EXPECT_EQ(page_->position.load(), make_position(0, 2));

  page_->pause_at = make_position(0, 5);
  page_->resumes = 1;
  while (page_->pauses.load() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(page_->iterations.load(), 5u);
  page_->resumes = 2;
  worker.join();
  EXPECT_EQ(page_->iterations.load(), 6u);
  EXPECT_FALSE(page_->paused());
}

TEST_F(ProgressTest, APageOfAnotherVersionIsRefused) {
  page_->version = harness::kWorkerPageVersion + 1;
  EXPECT_THROW(Progress::from_environment(), BadInput);
}

TEST_F(ProgressTest, AShortFileIsRefused) {
  ASSERT_EQ(truncate(path_.c_str(), 100), 0);
  EXPECT_THROW(Progress::from_environment(), BadInput);
}

TEST(Progress, WithoutAPageTheWorkerRunsFreely) {
  Progress progress = Progress::from_environment();
  progress.connected();
  progress.begin(0, 0);
  progress.finish();
  progress.end(true);
}

TEST(Position, HoldsOperationAndIteration) {
  constexpr harness::Position position = make_position(7, 0xfffffffe);
  EXPECT_EQ(harness::operation_of(position), 7u);
  EXPECT_EQ(harness::iteration_of(position), 0xfffffffeu);
}

}  // namespace
}  // namespace railyard::worker
