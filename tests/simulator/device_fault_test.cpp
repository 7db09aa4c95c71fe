// Faults of devices and of memory: limits lowered, GID tables changed, devices that break,
// completions with a chosen status, memory that changes too early.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "verbs_test.h"

namespace railyard::test {
namespace {

using fabric::Resource;
using fabric::VerbFault;

class DeviceFaultTest : public VerbsTest {
 protected:
  fabric::DeviceView device() { return fabric().snapshot().devices[0]; }
};

TEST_F(DeviceFaultTest, ALoweredLimitRefusesAndCounts) {
  cluster("connectx");
  fabric().limit(0, Resource::memory_regions, 2);
  program([] {
    Program here;
    EXPECT_EQ(here.device_attributes().max_mr, 2);
    Buffer first(here, 4096), second(here, 4096);
    alignas(4096) static char third[4096];
    EXPECT_EQ(ibv_reg_mr(here.domain, third, sizeof third, IBV_ACCESS_LOCAL_WRITE), nullptr);
    EXPECT_EQ(errno, ENOMEM);
  });
  EXPECT_EQ(device().refusals[static_cast<size_t>(Resource::memory_regions)], 1u);
}

TEST_F(DeviceFaultTest, ALimitOfNothingRefusesTheFirst) {
  cluster("connectx");
  fabric().limit(0, Resource::protection_domains, 0);
  program([] {
    int count = 0;
    ibv_device** list = ibv_get_device_list(&count);
    ASSERT_EQ(count, 1);
    ibv_context* context = ibv_open_device(list[0]);
    ASSERT_NE(context, nullptr);
    EXPECT_EQ(ibv_alloc_pd(context), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_EQ(ibv_close_device(context), 0);
    ibv_free_device_list(list);
  });
}

TEST_F(DeviceFaultTest, ALimitGoesBackToTheProfile) {
  cluster("apple-thunderbolt5", 2);
  fabric().limit(0, Resource::queue_pairs, 0);
  fabric().limit(0, Resource::queue_pairs, -1);
  program([] {
    Program here;
    EXPECT_EQ(here.device_attributes().max_qp, 11);
  });
}

TEST_F(DeviceFaultTest, AnEmptiedGidIsNotAccepted) {
  cluster("apple-thunderbolt5", 2);
  int port = fabric().snapshot().devices[0].port;
  fabric::CableChange change = fabric().set_gid(port, 1, std::nullopt);
  EXPECT_TRUE(change.changed);
  EXPECT_THAT(change.evidence, testing::HasSubstr("GID 1 of node0/rdma_en2: empty (was 0000:"));
  EXPECT_FALSE(fabric().set_gid(port, 1, std::nullopt).changed);
  program([] {
    Program here;
    ibv_gid zero{};
    EXPECT_EQ(memcmp(here.gid(1).raw, zero.raw, sizeof zero.raw), 0);
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UC});
    ASSERT_EQ(pair.to_init(), 0);
    ibv_qp_attr attributes = pair.attributes(IBV_QPS_RTR, pair.address());
    attributes.ah_attr.is_global = 1;
    attributes.ah_attr.grh.sgid_index = 1;
    EXPECT_EQ(ibv_modify_qp(pair.get(), &attributes, pair.mask(IBV_QPS_RTR)), EINVAL);
  });
}

TEST_F(DeviceFaultTest, AGidMayMoveToAnotherRow) {
  cluster("apple-thunderbolt5", 2);
  int port = fabric().snapshot().devices[0].port;
  std::array<uint8_t, 16> gid{};
  gid[10] = gid[11] = 0xff;
  gid[12] = 10;
  gid[15] = 1;
  fabric().set_gid(port, 2, gid);
  program([&] {
    Program here;
    EXPECT_EQ(memcmp(here.gid(2).raw, gid.data(), gid.size()), 0);
  });
}

TEST_F(DeviceFaultTest, ABrokenDeviceTellsAndFlushes) {
  cluster("connectx");
  pid_t running = start(0, [&] {
    Program here;
    LocalPair pairs(here);
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.right.receive({buffer.all()}, 5), 0);
    meeting().signal(1);
    ibv_async_event event;
    ASSERT_EQ(ibv_get_async_event(here.context, &event), 0);
    EXPECT_EQ(event.event_type, IBV_EVENT_DEVICE_FATAL);
    ibv_ack_async_event(&event);
    ibv_wc flushed = pairs.right_queue.next();
    EXPECT_EQ(flushed.status, IBV_WC_WR_FLUSH_ERR);
    EXPECT_EQ(flushed.wr_id, 5u);
    EXPECT_EQ(pairs.left.state(), IBV_QPS_ERR);
  });
  meeting().wait(1);
  fabric().fail_device(0);
  EXPECT_EQ(finish(running), 0);
  EXPECT_TRUE(device().failed);
}

TEST_F(DeviceFaultTest, ACompletionMayLie) {
  cluster("connectx");
  int id = fabric().arm(VerbFault{.verb = "ibv_poll_cq",
                                  .nth = 3,
                                  .action = VerbFault::Action::alter,
                                  .error_number = IBV_WC_REM_OP_ERR});
  program([] {
    Program here;
    LocalPair pairs(here);
    Buffer buffer(here, 4096);
    for (uint64_t i = 1; i <= 4; ++i) {
      ASSERT_EQ(pairs.right.receive({buffer.all()}), 0);
      ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
      EXPECT_EQ(pairs.right_queue.next().status, i == 2 ? IBV_WC_REM_OP_ERR : IBV_WC_SUCCESS);
      EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    }
  });
  fabric::FaultView view = fabric().snapshot().faults.at(0);
  EXPECT_EQ(view.id, id);
  EXPECT_EQ(view.fired, 1u);
  EXPECT_THAT(view.evidence, testing::HasSubstr("IBV_WC_REM_OP_ERR"));
}

TEST_F(DeviceFaultTest, CallsMayBeCountedFromWhenAFaultIsArmed) {
  cluster("connectx");
  // Another fault, so that the process counts its calls from the start.
  fabric().arm(VerbFault{.verb = "ibv_query_gid", .nth = 1000, .error_number = EIO});
  pid_t running = start(0, [&] {
    Program here;
    ibv_gid gid;
    for (int call = 0; call < 3; ++call) ASSERT_EQ(ibv_query_gid(here.context, 1, 0, &gid), 0);
    meeting().signal(1);
    meeting().wait(2);
    EXPECT_EQ(ibv_query_gid(here.context, 1, 0, &gid), 0);
    EXPECT_EQ(ibv_query_gid(here.context, 1, 0, &gid), -1);
    EXPECT_EQ(ibv_query_gid(here.context, 1, 0, &gid), 0);
  });
  meeting().wait(1);
  fabric().arm(VerbFault{.verb = "ibv_query_gid", .nth = 2, .from_now = true, .error_number = EIO});
  meeting().signal(2);
  EXPECT_EQ(finish(running), 0);
}

TEST_F(DeviceFaultTest, MemoryThatChangesTooEarlyIsSeen) {
  cluster("connectx");
  fabric().watch_memory(true);
  pid_t running = start(0, [&] {
    Program here;
    LocalPair pairs(here);
    Buffer from(here, 4096), to(here, 4096);
    ASSERT_EQ(pairs.left.send({from.piece(0, 2048)}), 0);
    from.data()[1000] = 1;  // its producer had not finished
    ASSERT_EQ(pairs.right.receive({to.all()}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    ASSERT_EQ(pairs.right.receive({to.all()}), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 2048)}), 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    meeting().signal(1);
    meeting().wait(2);
  });
  meeting().wait(1);
  uint64_t changed = 0;
  for (const auto& pair : fabric().snapshot().queue_pairs) changed += pair.changed_in_flight;
  EXPECT_EQ(changed, 1u);
  meeting().signal(2);
  EXPECT_EQ(finish(running), 0);
}

TEST_F(DeviceFaultTest, NonsenseIsRefused) {
  cluster("connectx");
  EXPECT_THROW(fabric().limit(9, Resource::queue_pairs, 1), fabric::Error);
  EXPECT_THROW(fabric().limit(0, Resource::queue_pairs, -2), fabric::Error);
  EXPECT_THROW(fabric().set_gid(0, 4, std::nullopt), fabric::Error);
  EXPECT_THROW(fabric().set_gid(-1, 0, std::nullopt), fabric::Error);
  EXPECT_THROW(fabric().fail_device(-1), fabric::Error);
  EXPECT_THROW(fabric().arm(VerbFault{.verb = "ibv_post_send", .action = VerbFault::Action::alter}),
               fabric::Error);
}

}  // namespace
}  // namespace railyard::test
