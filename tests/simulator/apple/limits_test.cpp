// What the device offers, and how many of each: TN3205 and what was reported of real Macs.
#include <gtest/gtest.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "apple/apple_test.h"

namespace railyard::test {
namespace {

using AppleLimitsTest = AppleTest;

TEST_F(AppleLimitsTest, DevicesAreNamedAfterTheirInterfaces) {
  on_a_mac([] {
    Program here("rdma_en2");
    EXPECT_EQ(here.port_attributes().link_layer, 100);
    EXPECT_EQ(here.port_attributes().state, IBV_PORT_ACTIVE);
  });
}

TEST_F(AppleLimitsTest, OnlyUnreliableConnections) {
  on_a_mac([] {
    Program here;
    Queue queue(here);
    for (ibv_qp_type type : {IBV_QPT_RC, IBV_QPT_UD}) {
      EXPECT_EQ(create(here, queue, type), nullptr);
      EXPECT_EQ(errno, EOPNOTSUPP);
    }
  });
}

TEST_F(AppleLimitsTest, OnlySendAndReceive) {
  on_a_mac([] {
    Program here;
    LocalPair pairs(here, options());
    Buffer buffer(here, kFrame);
    for (ibv_wr_opcode opcode : {IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_READ,
                                 IBV_WR_ATOMIC_FETCH_AND_ADD}) {
      EXPECT_NE(pairs.left.send({buffer.piece(0, 8)}, {.opcode = opcode, .to = buffer.window()}), 0)
          << opcode;
    }
    EXPECT_TRUE(pairs.left_queue.quiet());
    EXPECT_EQ(pairs.left.state(), IBV_QPS_RTS);
  });
}

TEST_F(AppleLimitsTest, TenQueuePairsAndTheEleventhIsBusy) {
  on_a_mac([] {
    Program here;
    Queue queue(here);
    std::vector<ibv_qp*> pairs;
    for (int i = 0; i < 10; ++i) {
      pairs.push_back(create(here, queue));
      ASSERT_NE(pairs.back(), nullptr) << i;
    }
    EXPECT_EQ(create(here, queue), nullptr);
    EXPECT_EQ(errno, EBUSY);
    EXPECT_EQ(ibv_destroy_qp(pairs.back()), 0);
    pairs.back() = create(here, queue);
    EXPECT_NE(pairs.back(), nullptr) << "one given back can be had again";
    for (ibv_qp* pair : pairs) ibv_destroy_qp(pair);
  });
}

TEST_F(AppleLimitsTest, QueuePairsAreCountedByDeviceNotByContext) {
  on_a_mac(
      [] {
        Program first, second;
        Queue queue(first), other(second);
        std::vector<ibv_qp*> pairs;
        for (int i = 0; i < 9; ++i) pairs.push_back(create(first, queue));
        pairs.push_back(create(second, other));
        EXPECT_NE(pairs.back(), nullptr);
        EXPECT_EQ(create(second, other), nullptr);
        EXPECT_EQ(errno, EBUSY);
        for (ibv_qp* pair : pairs) ibv_destroy_qp(pair);
      },
      R"({"rules": {"contexts": 2}})");
}

TEST_F(AppleLimitsTest, QueuePairsOfAKilledProcessAreFreeAgain) {
  cluster("apple-thunderbolt5", 2);
  auto take_all = [&] {
    Program here;
    Queue queue(here);
    for (int i = 0; i < 10; ++i) ASSERT_NE(create(here, queue), nullptr) << i;
    _exit(HasFailure() ? 1 : 0);  // as a crash would: nothing is given back
  };
  for (int round = 0; round < 3; ++round) program(take_all);
}

TEST_F(AppleLimitsTest, ASecondContextBlocksForEver) {
  cluster("apple-thunderbolt5", 2);
  pid_t holder = start(0, [&] {
    Program here;
    meeting().signal(0);
    meeting().wait(1);
  });
  meeting().wait(0);
  pid_t waiter = start(0, [&] { Program here; });
  wait_until("a process that waits for a context", [&](const fabric::Snapshot& seen) {
    for (const fabric::ProcessView& process : seen.processes) {
      if (process.pid != waiter) continue;
      return process.activity == fabric::Activity::blocked && process.verb == "ibv_open_device" &&
             process.blocked_device == 0;
    }
    return false;
  });
  EXPECT_EQ(fabric().snapshot().devices.at(0).waiters, 1);
  EXPECT_EQ(fabric().snapshot().devices.at(0).context_limit, 1);
  ASSERT_EQ(fabric().snapshot().contexts.size(), 1u);
  usleep(50'000);
  EXPECT_EQ(fabric().snapshot().contexts.size(), 1u);
  meeting().signal(1);
  EXPECT_EQ(finish(holder), 0);
  EXPECT_EQ(finish(waiter), 0) << "it opens when the first has closed";
}

TEST_F(AppleLimitsTest, AnotherDriverRefusesTheSecondContext) {
  on_a_mac(
      [] {
        Program here;
        int count = 0;
        ibv_device** list = ibv_get_device_list(&count);
        errno = 0;
        EXPECT_EQ(ibv_open_device(list[0]), nullptr);
        EXPECT_EQ(errno, EBUSY);
        ibv_free_device_list(list);
      },
      R"({"rules": {"contexts": {"at_limit": "refuse"}}})");
}

TEST_F(AppleLimitsTest, AHundredRegions) {
  on_a_mac([] {
    Program here;
    auto* memory = static_cast<uint8_t*>(aligned_alloc(65536, 65536));
    std::vector<ibv_mr*> regions;
    for (int i = 0; i < 100; ++i) {
      regions.push_back(ibv_reg_mr(here.domain, memory, 65536, IBV_ACCESS_LOCAL_WRITE));
      ASSERT_NE(regions.back(), nullptr) << i;
    }
    errno = 0;
    EXPECT_EQ(ibv_reg_mr(here.domain, memory, 65536, IBV_ACCESS_LOCAL_WRITE), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    for (ibv_mr* region : regions) EXPECT_EQ(ibv_dereg_mr(region), 0);
    free(memory);
  });
}

TEST_F(AppleLimitsTest, TheQueryPromisesElevenQueuePairs) {
  on_a_mac([] { EXPECT_EQ(Program().device_attributes().max_qp, 11); });
}

TEST_F(AppleLimitsTest, AnotherDriverPromisesWhatItHas) {
  on_a_mac([] { EXPECT_EQ(Program().device_attributes().max_qp, 10); },
           R"({"rules": {"advertised_queue_pairs": 0}})");
}

// mlx#3205: a hub that had run for long said max_qp 3 and max_pd 6.
TEST_F(AppleLimitsTest, ADeviceThatHasRunForLongHasLessLeft) {
  cluster("apple-thunderbolt5", 2);
  program([] { EXPECT_EQ(Program().device_attributes().max_pd, 6); });
  fabric().limit(0, fabric::Resource::queue_pairs, 3);
  program([] {
    Program here;
    EXPECT_EQ(here.device_attributes().max_qp, 3);
    Queue queue(here);
    for (int i = 0; i < 3; ++i) ASSERT_NE(create(here, queue), nullptr) << i;
    EXPECT_EQ(create(here, queue), nullptr);
    EXPECT_EQ(errno, EBUSY);
    _exit(HasFailure() ? 1 : 0);
  });
}

TEST_F(AppleLimitsTest, SixProtectionDomains) {
  on_a_mac([] {
    Program here;  // has the first
    std::vector<ibv_pd*> domains;
    for (int i = 0; i < 5; ++i) {
      domains.push_back(ibv_alloc_pd(here.context));
      ASSERT_NE(domains.back(), nullptr) << i;
    }
    errno = 0;
    EXPECT_EQ(ibv_alloc_pd(here.context), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    for (ibv_pd* domain : domains) EXPECT_EQ(ibv_dealloc_pd(domain), 0);
  });
}

TEST_F(AppleLimitsTest, NoSharedReceiveQueues) {
  on_a_mac([] {
    Program here;
    EXPECT_EQ(here.device_attributes().max_srq, 0);
    ibv_srq_init_attr wanted{};
    wanted.attr = {16, 1, 0};
    errno = 0;
    EXPECT_EQ(ibv_create_srq(here.domain, &wanted), nullptr);
    EXPECT_NE(errno, 0);
  });
}

// gojaccl's documentation: after SIGKILL of its owner a device stays taken until the Mac is
// rebooted.
TEST_F(AppleLimitsTest, AKilledOwnerMayLeaveItsDeviceTaken) {
  cluster("apple-thunderbolt5", 2,
          R"({"rules": {"killed_owner": "leaked", "contexts": {"at_limit": "refuse"}}})");
  program([] {
    Program here;
    _exit(0);  // as a crash would: nothing is given back
  });
  program([] {
    int count = 0;
    ibv_device** list = ibv_get_device_list(&count);
    errno = 0;
    EXPECT_EQ(ibv_open_device(list[0]), nullptr);
    EXPECT_EQ(errno, EBUSY);
    ibv_free_device_list(list);
  });
}

}  // namespace
}  // namespace railyard::test
