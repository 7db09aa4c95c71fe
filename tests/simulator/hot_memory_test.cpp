// Memory that is sent from, or received into, again and again lies in large pages after a while:
// copies between such memory are several times as fast.
#include <gtest/gtest.h>

#ifdef __linux__

#include <sys/mman.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "verbs_test.h"

namespace railyard::test {
namespace {

constexpr size_t kLargePage = size_t{2} << 20;

// How much of the mapping that holds `address` lies in large pages, as proc(5) says.
size_t large_bytes_at(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    auto place = reinterpret_cast<unsigned long>(address);
    if (sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) inside = begin <= place && place < end;
    unsigned long kib = 0;
    if (inside && sscanf(line.c_str(), "AnonHugePages: %lu kB", &kib) == 1) return kib * 1024;
  }
  return 0;
}

// Whether pages become large when somebody asks, and only then.
bool system_merges_pages() {
  std::string rule;
  std::getline(std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled"), rule);
  if (rule.find("[always]") != std::string::npos) return false;
  constexpr int kCollapse = 25;  // MADV_COLLAPSE
  void* memory =
      mmap(nullptr, 2 * kLargePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto block = (reinterpret_cast<uintptr_t>(memory) + kLargePage - 1) / kLargePage * kLargePage;
  memset(memory, 1, 2 * kLargePage);
  bool merged = madvise(reinterpret_cast<void*>(block), kLargePage, kCollapse) == 0;
  munmap(memory, 2 * kLargePage);
  return merged;
}

class HotMemoryTest : public VerbsTest {
 protected:
  // Sends all of a buffer `times` times into another; a child process, so that its memory is its
  // own.
  void send_over_and_over(int times,
                          const std::function<void(const Buffer& from, const Buffer& to)>& look) {
    cluster("permissive");
    program([&] {
      Program here;
      LocalPair pairs(here, {.type = IBV_QPT_RC});
      constexpr size_t kPiece = size_t{1} << 20;
      Buffer from(here, 4 * kLargePage), to(here, 4 * kLargePage);
      // smaps shows them apart then, wherever they lie.
      ASSERT_EQ(madvise(to.data(), to.bytes(), MADV_DONTDUMP), 0);
      from.fill(3);
      for (int i = 0; i < times; ++i) {
        for (size_t at = 0; at < from.bytes(); at += kPiece) {
          ASSERT_EQ(pairs.right.receive({to.piece(at, kPiece)}, 1), 0);
          ASSERT_EQ(pairs.left.send({from.piece(at, kPiece)}, {.id = 2}), 0);
          ASSERT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
          ASSERT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
        }
      }
      look(from, to);
      EXPECT_TRUE(from.holds(3));
      EXPECT_TRUE(to.holds(3));
    });
  }

  // By the helper thread, when it has the time.
  static void expect_large_soon(const Buffer& buffer) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (large_bytes_at(buffer.data()) < 2 * kLargePage && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_GE(large_bytes_at(buffer.data()), 2 * kLargePage);
  }
};

TEST_F(HotMemoryTest, LiesInLargePages) {
  if (!system_merges_pages()) GTEST_SKIP() << "this system merges pages by itself, or not at all";
  send_over_and_over(5, [](const Buffer& from, const Buffer&) { expect_large_soon(from); });
}

TEST_F(HotMemoryTest, WhatIsReceivedIntoLiesInLargePages) {
  if (!system_merges_pages()) GTEST_SKIP() << "this system merges pages by itself, or not at all";
  send_over_and_over(5, [](const Buffer&, const Buffer& to) { expect_large_soon(to); });
}

// Whoever sends once gains nothing by it, and pays nothing.
TEST_F(HotMemoryTest, IsNotWhatWasSentOnce) {
  if (!system_merges_pages()) GTEST_SKIP() << "this system merges pages by itself, or not at all";
  send_over_and_over(1, [](const Buffer& from, const Buffer& to) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(large_bytes_at(from.data()), 0u);
    EXPECT_EQ(large_bytes_at(to.data()), 0u);
  });
}

}  // namespace
}  // namespace railyard::test

#endif
