#include "verbs_test.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>

namespace railyard::test {
namespace {

constexpr std::chrono::seconds kGuard{60};

void nap() {
  timespec time{0, 200'000};
  nanosleep(&time, nullptr);
}

}  // namespace

struct Meeting::Shared {
  struct Place {
    std::atomic<uint32_t> told;
    unsigned char thing[256];
  } places[kPlaces];
};

Meeting::Meeting() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("mmap");
  shared_ = static_cast<Shared*>(memory);
}

Meeting::~Meeting() { munmap(shared_, sizeof(Shared)); }

void Meeting::put(int place, const void* thing, size_t bytes) {
  Shared::Place& there = shared_->places[place];
  memcpy(there.thing, thing, bytes);
  there.told.store(1, std::memory_order_release);
}

void Meeting::take(int place, void* thing, size_t bytes) {
  Shared::Place& there = shared_->places[place];
  auto deadline = std::chrono::steady_clock::now() + 2 * kPatience;
  while (there.told.load(std::memory_order_acquire) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("nobody told place " + std::to_string(place));
    }
    nap();
  }
  memcpy(thing, there.thing, bytes);
}

bool Meeting::told(int place) const {
  return shared_->places[place].told.load(std::memory_order_acquire) != 0;
}

void VerbsTest::cluster(const std::string& profile, int nodes, const std::string& overrides,
                        int rails) {
  fabric::ClusterSpec spec = fabric::default_cluster(profile, nodes, rails);
  spec.profile_overrides = overrides;
  cluster(spec);
}

void VerbsTest::cluster(const fabric::ClusterSpec& spec) {
  fabric_.emplace(fabric::Fabric::create(spec));
  if (getenv("RAILYARD_TEST_TRACE")) fabric_->record_trace(true);
}

pid_t VerbsTest::start(int node, const Body& body) {
  fflush(stdout);
  fflush(stderr);
  pid_t pid = fork();
  if (pid != 0) {
    running_.push_back(pid);
    return pid;
  }
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves nobody waiting for it
#endif
  for (const auto& [name, value] : fabric_->environment(node)) {
    setenv(name.c_str(), value.c_str(), 1);
  }
  try {
    body();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "on node " << node << ": " << error.what();
  }
  fflush(stdout);
  fflush(stderr);
  _exit(HasFailure() ? 1 : 0);
}

int VerbsTest::finish(pid_t pid) {
  std::erase(running_, pid);
  auto deadline = std::chrono::steady_clock::now() + kGuard;
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "a program did not end in " << kGuard.count() << " s";
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    nap();
  }
  fabric_->reap(pid);
  return status;
}

void VerbsTest::together(const std::vector<Body>& bodies) {
  std::vector<pid_t> pids;
  for (size_t i = 0; i < bodies.size(); ++i) {
    pids.push_back(start(static_cast<int>(i), bodies[i]));
  }
  for (size_t i = 0; i < pids.size(); ++i) {
    int status = finish(pids[i]);
    EXPECT_EQ(status, 0) << "of the program on node " << i
                         << (WIFSIGNALED(status) ? ", killed by a signal" : "");
  }
}

void VerbsTest::wait_until(const std::string& what,
                           const std::function<bool(const fabric::Snapshot&)>& seen) {
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!seen(fabric_->snapshot())) {
    if (std::chrono::steady_clock::now() > deadline) {
      FAIL() << "not seen: " << what;
    }
    nap();
  }
}

void VerbsTest::TearDown() {
  for (pid_t pid : running_) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  fabric_.reset();
  EXPECT_EQ(folder_.files(), 0) << "left behind";
}

}  // namespace railyard::test
