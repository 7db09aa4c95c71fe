// A process may be killed after any instruction. Whatever it was about to take or to give back
// then, it is free again when somebody has looked after the dead.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "fabric/segment.h"
#include "platform/process.h"
#include "private_folder.h"
#include "railyard/fabric.h"
#include "single_steps.h"

namespace railyard::fabric {
namespace {

#ifdef RAILYARD_SINGLE_STEPS

using test::SingleSteps;

constexpr uint32_t kFirstQueuePair = 16;

// A fabric whose first process is killed, or whoever looks after it.
class Scene {
 public:
  // Runs in a process of its own, which gives nothing back; whether it came to its end.
  bool another(const std::function<void(const Segment&)>& body) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
      body(segment_);
      _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status);
  }

  // As a process that opens a device.
  static uint32_t join(const Segment& segment) {
    uint32_t process = segment.claim_process().value();
    segment.process(process).pid = getpid();
    segment.process(process).start_time = platform::process_start_time(getpid());
    segment.process(process).state.store(layout::state_with(layout::kLive, getpid()));
    return process;
  }

  static void claim_everything(const Segment& segment, uint32_t process) {
    RobustLock::take(segment, segment.device(0).lock, process);
    segment.claim_context(process);
    segment.claim_queue_pair(process);
    segment.claim_completion_queue(process);
    segment.claim_shared_queue(process);
    segment.claim_share(process);
  }

  void expect_all_free() {
    fabric_.reap(-1);
    EXPECT_EQ(segment_.device(0).lock.load(), 0u);
    EXPECT_EQ(segment_.context(0).owner.load(), 0u);
    EXPECT_EQ(segment_.queue_pair(kFirstQueuePair).owner.load(), 0u);
    EXPECT_EQ(segment_.completion_queue(0).owner.load(), 0u);
    EXPECT_EQ(segment_.shared_queue(1).owner.load(), 0u);
    EXPECT_EQ(segment_.share(0).owner.load(), 0u);
    uint32_t state = segment_.process(0).state.load();
    EXPECT_TRUE(state == layout::kBuried || state == layout::kFree) << state;
  }

 private:
  test::PrivateFolder folder_;
  Fabric fabric_ = Fabric::create(default_cluster("permissive", 2));
  Segment segment_ = Segment::open(fabric_.name());
};

// Does it in a process that is killed after one instruction of it, two, and so on, to the last; or
// after every so many, where the moments that matter are long.
void at_instructions(int every, const std::function<bool(int steps)>& dies) {
  constexpr int kFewest = 50, kMost = 20'000;
  int steps = 1;
  while (steps < kMost && dies(steps)) {
    ASSERT_FALSE(testing::Test::HasFailure()) << "killed after " << steps << " instructions";
    steps += every;
  }
  EXPECT_GT(steps, kFewest);
  EXPECT_LT(steps, kMost);
}

void die_after(int steps) {
  SingleSteps::arm(steps, [] { kill(getpid(), SIGKILL); });
  SingleSteps::begin();
}

TEST(DyingTest, OfAProcessThatJoins) {
  at_instructions(1, [](int steps) {
    Scene scene;
    bool ended = scene.another([&](const Segment& segment) {
      die_after(steps);
      segment.claim_process();
      SingleSteps::end();
    });
    scene.expect_all_free();
    return !ended;
  });
}

TEST(DyingTest, OfAProcessThatClaims) {
  at_instructions(1, [](int steps) {
    Scene scene;
    bool ended = scene.another([&](const Segment& segment) {
      uint32_t process = Scene::join(segment);
      die_after(steps);
      Scene::claim_everything(segment, process);
      SingleSteps::end();
    });
    scene.expect_all_free();
    return !ended;
  });
}

TEST(DyingTest, OfTheOneThatLooksAfterTheDead) {
  at_instructions(13, [](int steps) {
    Scene scene;
    scene.another(
        [](const Segment& segment) { Scene::claim_everything(segment, Scene::join(segment)); });
    bool ended = scene.another([&](const Segment& segment) {
      die_after(steps);
      segment.reap(0);
      SingleSteps::end();
    });
    scene.expect_all_free();
    return !ended;
  });
}

#endif

}  // namespace
}  // namespace railyard::fabric
