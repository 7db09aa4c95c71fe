#include <gtest/gtest.h>

#include <cstdlib>

#include "railyard/config.h"
#include "railyard/error.h"
#include "ranks.h"

namespace railyard {
namespace {

// Clears the variables that a Config reads, before and after each test.
class Environment : public testing::Test {
 protected:
  void SetUp() override { clear(); }
  void TearDown() override { clear(); }

  static void clear() {
    for (const char* name :
         {"JACCL_RANK", "MLX_RANK", "JACCL_COORDINATOR", "MLX_JACCL_COORDINATOR",
          "JACCL_IBV_DEVICES", "MLX_IBV_DEVICES", "JACCL_RING", "MLX_JACCL_RING",
          "RAILYARD_BACKEND", "RAILYARD_DEADLINE_MS", "RAILYARD_BOOTSTRAP_DEADLINE_MS",
          "RAILYARD_MAX_MESSAGE_BYTES", "RAILYARD_PROCESSORS"}) {
      unsetenv(name);
    }
  }
  static void set(const char* name, const std::string& value) { setenv(name, value.c_str(), 1); }
  void set_group() {
    set("JACCL_RANK", "1");
    set("JACCL_COORDINATOR", "127.0.0.1:5000");
    set("JACCL_IBV_DEVICES", file_.path());
  }
  static std::string error() {
    try {
      Config::from_environment();
      return "no error";
    } catch (const ConfigurationError& error) {
      return error.what();
    }
  }

  test::TemporaryFile file_{R"([[null, "a"], ["b", null]])"};
};

// mlx#3418: nothing is configured, so there is no group, and no crash.
TEST_F(Environment, NothingSet) { EXPECT_FALSE(Config::from_environment()); }

TEST_F(Environment, RankOfAnotherBackendOfMlx) {
  set("MLX_RANK", "0");
  EXPECT_FALSE(Config::from_environment());
}

TEST_F(Environment, JacclNames) {
  set_group();
  auto config = Config::from_environment();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->rank, 1);
  EXPECT_EQ(config->size(), 2);
  EXPECT_EQ(config->coordinator, "127.0.0.1:5000");
  EXPECT_FALSE(config->prefer_ring);
  EXPECT_EQ(config->deadline, std::chrono::seconds(30));
}

TEST_F(Environment, MlxNames) {
  set("MLX_RANK", "0");
  set("MLX_JACCL_COORDINATOR", "10.0.0.1:1234");
  set("MLX_IBV_DEVICES", file_.path());
  set("MLX_JACCL_RING", "1");
  auto config = Config::from_environment();
  ASSERT_TRUE(config);
  EXPECT_TRUE(config->prefer_ring);
  EXPECT_EQ(config->choose_backend(), Backend::ring);
}

// orchard#116: presence is not truth.
TEST_F(Environment, RingIsOffForEveryNo) {
  set_group();
  for (const char* no : {"", "0", "false", "FALSE", "no", "off"}) {
    set("JACCL_RING", no);
    EXPECT_FALSE(Config::from_environment()->prefer_ring) << no;
  }
  for (const char* yes : {"1", "true", "on"}) {
    set("JACCL_RING", yes);
    EXPECT_TRUE(Config::from_environment()->prefer_ring) << yes;
  }
  set("JACCL_RING", "perhaps");
  EXPECT_EQ(error(), "JACCL_RING: 'perhaps' is neither yes nor no; write 1 or 0");
}

TEST_F(Environment, RailyardsOwn) {
  set_group();
  set("RAILYARD_BACKEND", "ring");
  set("RAILYARD_DEADLINE_MS", "2000");
  auto config = Config::from_environment();
  EXPECT_EQ(config->backend, Backend::ring);
  EXPECT_EQ(config->deadline, std::chrono::seconds(2));
  EXPECT_EQ(config->processors, 0);
  set("RAILYARD_PROCESSORS", "3");
  EXPECT_EQ(Config::from_environment()->processors, 3);
}

// mlx#4210: what is missing is an error, never a group of one.
TEST_F(Environment, HalfAConfiguration) {
  set("JACCL_RANK", "0");
  EXPECT_EQ(error(), "JACCL_IBV_DEVICES: is not set, but JACCL_RANK is; set it for every rank");
  set("JACCL_IBV_DEVICES", file_.path());
  EXPECT_EQ(error(), "JACCL_COORDINATOR: is not set, but JACCL_RANK is; set it for every rank");
  unsetenv("JACCL_RANK");
  EXPECT_EQ(error(), "JACCL_RANK: is not set, but JACCL_IBV_DEVICES is; set it for every rank");
}

TEST_F(Environment, Malformed) {
  set_group();
  set("JACCL_RANK", "one");
  EXPECT_EQ(error(), "JACCL_RANK: 'one' is not a rank; write a number from 0");
  set("JACCL_RANK", "2");
  EXPECT_EQ(error(), "JACCL_RANK: 2 is outside of " + file_.path() +
                         ", which has 2 rows; ranks are from 0 to 1");
  set_group();
  set("JACCL_COORDINATOR", "localhost:5000");
  EXPECT_EQ(error(),
            "JACCL_COORDINATOR: 'localhost:5000' has no IP address; write ip:port of rank 0, for "
            "instance 192.168.1.1:5000");
  set_group();
  set("RAILYARD_BACKEND", "tree");
  EXPECT_EQ(error(),
            "RAILYARD_BACKEND: 'tree' is no backend; write any, mesh, ring, tcp, "
            "tcp-ring or local");
  set("RAILYARD_BACKEND", "any");
  set("RAILYARD_DEADLINE_MS", "2s");
  EXPECT_EQ(error(),
            "RAILYARD_DEADLINE_MS: '2s' is not a time; write milliseconds as a positive number");
  set("RAILYARD_DEADLINE_MS", "2000");
  set("RAILYARD_PROCESSORS", "0");
  EXPECT_EQ(error(), "RAILYARD_PROCESSORS: '0' is no number of processors; write one from 1");
}

}  // namespace
}  // namespace railyard
