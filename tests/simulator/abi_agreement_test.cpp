// Where the drop-in library answers without a device, it answers as the system's libibverbs does:
// texts, rates, conversions. Both are loaded by their paths, side by side.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <infiniband/sa.h>
#include <infiniband/verbs.h>
#include <rdma/ib_user_sa.h>
#include <rdma/ib_user_verbs.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

namespace {

constexpr const char* kSystemPaths[] = {"/usr/lib/" RAILYARD_ARCHITECTURE "/libibverbs.so.1",
                                        "/usr/lib64/libibverbs.so.1"};

class AbiAgreementTest : public testing::Test {
 protected:
  void SetUp() override {
    ours_ = dlopen(RAILYARD_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(ours_, nullptr) << dlerror();
    for (const char* path : kSystemPaths) {
      if (!system_) system_ = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    if (!system_) GTEST_SKIP() << "this system has no libibverbs of its own";
    ASSERT_NE(dlsym(ours_, "ibv_rate_to_mult"), dlsym(system_, "ibv_rate_to_mult"));
  }

  // Calls both libraries' function and compares what they return.
  template <typename Function, typename... Arguments>
  void expect_same(const char* name, Arguments... arguments) {
    auto* ours = reinterpret_cast<Function*>(dlsym(ours_, name));
    auto* theirs = reinterpret_cast<Function*>(dlsym(system_, name));
    ASSERT_TRUE(ours && theirs) << name;
    if constexpr (std::is_same_v<decltype(ours(arguments...)), const char*>) {
      EXPECT_STREQ(ours(arguments...), theirs(arguments...)) << name;
    } else {
      EXPECT_EQ(ours(arguments...), theirs(arguments...)) << name;
    }
  }

  // Converts the same random bytes by both libraries.
  template <typename To, typename From>
  void expect_same_conversion(const char* name) {
    auto* ours = reinterpret_cast<void (*)(To*, From*)>(dlsym(ours_, name));
    auto* theirs = reinterpret_cast<void (*)(To*, From*)>(dlsym(system_, name));
    ASSERT_TRUE(ours && theirs) << name;
    std::mt19937 random(1);
    for (int round = 0; round < 100; ++round) {
      From from;
      auto* bytes = reinterpret_cast<unsigned char*>(&from);
      for (size_t i = 0; i < sizeof from; ++i) bytes[i] = static_cast<unsigned char>(random());
      To to_ours, to_theirs;
      memset(&to_ours, 0xa5, sizeof to_ours);
      memset(&to_theirs, 0xa5, sizeof to_theirs);
      ours(&to_ours, &from);
      theirs(&to_theirs, &from);
      EXPECT_EQ(memcmp(&to_ours, &to_theirs, sizeof to_ours), 0) << name;
    }
  }

  void* ours_ = nullptr;
  void* system_ = nullptr;
};

TEST_F(AbiAgreementTest, Texts) {
  for (int i = -2; i < 40; ++i) {
    SCOPED_TRACE(i);
    expect_same<const char*(int)>("ibv_node_type_str", i);
    expect_same<const char*(int)>("ibv_port_state_str", i);
    expect_same<const char*(int)>("ibv_event_type_str", i);
    expect_same<const char*(int)>("ibv_wc_status_str", i);
  }
}

TEST_F(AbiAgreementTest, Rates) {
  for (int i = -2; i < 40; ++i) {
    SCOPED_TRACE(i);
    expect_same<int(int)>("ibv_rate_to_mult", i);
    expect_same<int(int)>("ibv_rate_to_mbps", i);
  }
  for (int i = -2; i < 1000; ++i) expect_same<int(int)>("mult_to_ibv_rate", i);
  for (int i = -2; i < 1'300'000; i += 1) {
    if (i % 2500 == 0 || i % 3125 == 0 || i < 70'000) expect_same<int(int)>("mbps_to_ibv_rate", i);
  }
}

TEST_F(AbiAgreementTest, KernelConversions) {
  expect_same_conversion<ibv_ah_attr, ib_uverbs_ah_attr>("ibv_copy_ah_attr_from_kern");
  expect_same_conversion<ibv_qp_attr, ib_uverbs_qp_attr>("ibv_copy_qp_attr_from_kern");
  expect_same_conversion<ibv_sa_path_rec, ib_user_path_rec>("ibv_copy_path_rec_from_kern");
  expect_same_conversion<ib_user_path_rec, ibv_sa_path_rec>("ibv_copy_path_rec_to_kern");
}

TEST_F(AbiAgreementTest, Sysfs) {
  expect_same<const char*()>("ibv_get_sysfs_path");

  char folder[] = "/tmp/railyard-abi-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  std::string file = std::string(folder) + "/value";
  for (std::string text :
       {"\n", "7\n", "7", "two words\nin lines\n", "longer than the buffer is"}) {
    SCOPED_TRACE(text);
    std::ofstream(file) << text;
    int lengths[2];
    char found[2][24];
    for (int i : {0, 1}) {
      auto* read = reinterpret_cast<int (*)(const char*, const char*, char*, size_t)>(
          dlsym(i ? system_ : ours_, "ibv_read_sysfs_file"));
      memset(found[i], 'x', sizeof found[i]);
      lengths[i] = read(folder, "value", found[i], sizeof found[i]);
    }
    EXPECT_EQ(lengths[0], lengths[1]);
    if (lengths[0] >= 0) {
      EXPECT_STREQ(found[0], found[1]);
    }
  }
  expect_same<int(const char*, const char*, char*, size_t)>(
      "ibv_read_sysfs_file", static_cast<const char*>(folder), "nothing", file.data(), size_t{8});
  ASSERT_EQ(unlink(file.c_str()), 0);
  ASSERT_EQ(rmdir(folder), 0);
}

}  // namespace
