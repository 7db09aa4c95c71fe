// ibv_asyncwatch, unmodified: it sees a cable pulled and plugged in again.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "verbs_test.h"

namespace railyard::test {
namespace {

constexpr const char* kProgram = "/usr/bin/ibv_asyncwatch";

// The program on node 0, and what it says.
class Watcher {
 public:
  explicit Watcher(const fabric::Fabric& fabric) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    process_ = fork();
    if (process_ == 0) {
      for (const auto& [name, value] : fabric.environment(0))
        setenv(name.c_str(), value.c_str(), 1);
      setenv("LD_LIBRARY_PATH", RAILYARD_LIBRARIES, 1);
      dup2(ends[1], STDOUT_FILENO);
      // Through a pipe it would say nothing before its end.
      execlp("stdbuf", "stdbuf", "-oL", kProgram, "-d", "mlx5_0", nullptr);
      _exit(127);
    }
    close(ends[1]);
    output_ = ends[0];
  }
  Watcher(const Watcher&) = delete;
  ~Watcher() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    close(output_);
  }

  // Whether it says this within half a minute.
  bool says(const std::string& what) {
    char more[256];
    pollfd ready{output_, POLLIN, 0};
    while (said_.find(what) == std::string::npos) {
      if (poll(&ready, 1, 30000) != 1) return false;
      ssize_t got = read(output_, more, sizeof more);
      if (got <= 0) return false;
      said_.append(more, static_cast<size_t>(got));
    }
    return true;
  }
  const std::string& said() const { return said_; }

 private:
  pid_t process_;
  int output_;
  std::string said_;
};

class AsyncwatchTest : public VerbsTest {};

TEST_F(AsyncwatchTest, SeesACablePulledAndPluggedInAgain) {
  if (access(kProgram, X_OK) != 0) GTEST_SKIP() << "ibv_asyncwatch is not installed";
  cluster("connectx", 2);
  Watcher watcher(fabric());
  ASSERT_TRUE(watcher.says("async event FD")) << watcher.said();
  fabric().unplug(0);
  EXPECT_TRUE(watcher.says("IBV_EVENT_PORT_ERR")) << watcher.said();
  fabric().plug(0);
  EXPECT_TRUE(watcher.says("IBV_EVENT_PORT_ACTIVE")) << watcher.said();
}

}  // namespace
}  // namespace railyard::test
