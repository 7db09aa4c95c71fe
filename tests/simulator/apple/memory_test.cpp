// What may be registered, and how. TN3205 and llama.cpp contradict each other here.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "apple/apple_test.h"

namespace railyard::test {
namespace {

using AppleMemoryTest = AppleTest;

TEST_F(AppleMemoryTest, RegionsBeginAtAPage) {
  on_a_mac([] {
    Program here;
    Buffer aligned(here, 2 * kFrame);
    errno = 0;
    EXPECT_EQ(ibv_reg_mr(here.domain, aligned.data() + 64, kFrame, IBV_ACCESS_LOCAL_WRITE),
              nullptr);
    EXPECT_EQ(errno, EINVAL);
  });
}

TEST_F(AppleMemoryTest, RegionsAreForLocalWritesOnly) {
  on_a_mac([] {
    Program here;
    Buffer memory(here, kFrame);
    errno = 0;
    EXPECT_EQ(ibv_reg_mr(here.domain, memory.data(), kFrame,
                         IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE),
              nullptr);
    EXPECT_EQ(errno, EINVAL);
  });
}

// llama.cpp: the provider rejects regions that are for local writes alone.
TEST_F(AppleMemoryTest, RegionsForLocalWritesAloneMayBeRefused) {
  on_a_mac(
      [] {
        Program here;
        void* memory =
            mmap(nullptr, kFrame, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        errno = 0;
        EXPECT_EQ(ibv_reg_mr(here.domain, memory, kFrame, IBV_ACCESS_LOCAL_WRITE), nullptr);
        EXPECT_EQ(errno, EINVAL);
        ibv_mr* region = ibv_reg_mr(here.domain, memory, kFrame, Buffer::kAllAccess);
        ASSERT_NE(region, nullptr);
        EXPECT_EQ(ibv_dereg_mr(region), 0);
        munmap(memory, kFrame);
      },
      R"({"rules": {"region_local_write_alone": false,
                    "region_access": ["local_write", "remote_write", "remote_read"]}})");
}

TEST_F(AppleMemoryTest, LongerRegionsWorkThanTheQueryPromises) {
  on_a_mac([] {
    Program here;
    EXPECT_EQ(here.device_attributes().max_mr_size, 16'400'000u);
    Buffer longer(here, 32 << 20);  // throws where it cannot be registered
  });
}

constexpr size_t kFourGigabytes = size_t{1} << 32;

// Address space of that length, of which pages are had when they are touched.
uint8_t* reserve(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<uint8_t*>(memory);
}

TEST_F(AppleMemoryTest, BeyondFourGigabytesDataGoesAstrayInSilence) {
  on_a_mac([] {
    Program here;
    uint8_t* memory = reserve(kFourGigabytes + kFrame);
    ASSERT_NE(memory, nullptr);
    ibv_mr* region =
        ibv_reg_mr(here.domain, memory, kFourGigabytes + kFrame, IBV_ACCESS_LOCAL_WRITE);
    ASSERT_NE(region, nullptr);
    LocalPair pairs(here, options());
    Buffer from(here, kFrame);
    from.fill(8);
    auto place = [&](size_t offset) {
      return ibv_sge{reinterpret_cast<uintptr_t>(memory + offset), kFrame, region->lkey};
    };
    for (size_t offset : {kFourGigabytes - kFrame, kFourGigabytes}) {
      ASSERT_EQ(pairs.right.receive({place(offset)}), 0);
      ASSERT_EQ(pairs.left.send({from.all()}), 0);
      EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    }
    EXPECT_EQ(memcmp(memory + kFourGigabytes - kFrame, from.data(), kFrame), 0);
    EXPECT_NE(memcmp(memory + kFourGigabytes, from.data(), kFrame), 0);
    ibv_dereg_mr(region);
  });
}

TEST_F(AppleMemoryTest, BeyondFourGigabytesAnotherDriverRefuses) {
  on_a_mac(
      [] {
        Program here;
        uint8_t* memory = reserve(kFourGigabytes + kFrame);
        ASSERT_NE(memory, nullptr);
        errno = 0;
        EXPECT_EQ(ibv_reg_mr(here.domain, memory, kFourGigabytes + kFrame, IBV_ACCESS_LOCAL_WRITE),
                  nullptr);
        EXPECT_EQ(errno, EINVAL);
        ibv_mr* region = ibv_reg_mr(here.domain, memory, kFourGigabytes, IBV_ACCESS_LOCAL_WRITE);
        ASSERT_NE(region, nullptr);
        ibv_dereg_mr(region);
      },
      R"({"rules": {"max_region_bytes": {"at_limit": "refuse"}}})");
}

}  // namespace
}  // namespace railyard::test
