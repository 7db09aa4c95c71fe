// Devices: the list of them, opening, forking, ports, and verbs that fail because a fault says so.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class DeviceTest : public VerbsTest {};

TEST_F(DeviceTest, WithoutAFabricThereAreNone) {
  cluster("permissive");
  program([] {
    unsetenv("RAILYARD_FABRIC");
    int count = -1;
    ibv_device** list = ibv_get_device_list(&count);
    EXPECT_NE(list, nullptr);
    EXPECT_EQ(count, 0);
    if (list) ibv_free_device_list(list);
  });
}

TEST_F(DeviceTest, ANodeHasItsOwnAndNoOthers) {
  cluster("apple-thunderbolt5", 3);
  program([] {
    int count = 0;
    ibv_device** list = ibv_get_device_list(&count);
    ASSERT_EQ(count, 2);
    EXPECT_EQ(ibv_get_device_name(list[0]), std::string("rdma_en2"));
    EXPECT_EQ(ibv_get_device_name(list[1]), std::string("rdma_en3"));
    EXPECT_EQ(list[2], nullptr) << "the list ends";
    EXPECT_NE(ibv_get_device_guid(list[0]), ibv_get_device_guid(list[1]));
    ibv_free_device_list(list);
  });
}

TEST_F(DeviceTest, PointersStayTheSameFromListToList) {
  cluster("permissive");
  program([] {
    int count = 0;
    ibv_device** first = ibv_get_device_list(&count);
    ibv_device** second = ibv_get_device_list(&count);
    EXPECT_EQ(first[0], second[0]);
    ibv_free_device_list(first);
    ibv_context* context = ibv_open_device(second[0]);
    ibv_free_device_list(second);
    ASSERT_NE(context, nullptr);
    EXPECT_STREQ(ibv_get_device_name(context->device), "yard0");
    EXPECT_EQ(ibv_close_device(context), 0);
  });
}

TEST_F(DeviceTest, AForkedChildOpensItsOwn) {
  cluster("permissive");
  program([] {
    Program parent;
    LocalPair pairs(parent);
    pid_t pid = fork();
    if (pid == 0) {
      int result = 1;
      {
        Program child;
        LocalPair own(child);
        Buffer buffer(child, 4096);
        if (own.right.receive({buffer.piece(0, 8)}) == 0 &&
            own.left.send({buffer.piece(8, 8)}) == 0 &&
            own.right_queue.next().status == IBV_WC_SUCCESS) {
          result = 0;
        }
      }
      _exit(result);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
    Buffer buffer(parent, 4096);
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(8, 8)}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    pairs.left_queue.next();
  });
}

TEST_F(DeviceTest, PortsThatAreNotThereAreRefused) {
  cluster("connectx");
  program([] {
    Program here;
    ibv_port_attr attributes{};
    EXPECT_NE(ibv_query_port(here.context, 0, &attributes), 0);
    EXPECT_NE(ibv_query_port(here.context, 2, &attributes), 0);
    __be16 key = 0;
    EXPECT_EQ(ibv_query_pkey(here.context, 1, 0, &key), 0);
    EXPECT_EQ(key, 0xffff);
    EXPECT_EQ(ibv_get_pkey_index(here.context, 1, key), 0);
  });
}

TEST_F(DeviceTest, VerbsFailAsAFaultSaysAndTheFaultTells) {
  cluster("permissive");
  int fault = fabric().arm({.verb = "ibv_create_cq", .node = 0, .nth = 2, .error_number = ENOSPC});
  program([] {
    Program here;
    Queue first(here);
    errno = 0;
    EXPECT_EQ(ibv_create_cq(here.context, 8, nullptr, nullptr, 0), nullptr);
    EXPECT_EQ(errno, ENOSPC);
    Queue third(here);
  });
  fabric::Snapshot seen = fabric().snapshot();
  ASSERT_EQ(seen.faults.size(), 1u);
  EXPECT_EQ(seen.faults[0].id, fault);
  EXPECT_EQ(seen.faults[0].fired, 1u);
  EXPECT_GT(seen.faults[0].first_fired_ns, 0);
  EXPECT_NE(seen.faults[0].evidence, "");
}

TEST_F(DeviceTest, AHeldReceiveIsPostedOnceAMessageHasArrived) {
  cluster("connectx", 1);
  fabric().arm({.verb = "ibv_post_recv",
                .node = 0,
                .action = fabric::VerbFault::Action::block_until_arrival});
  program([] {
    Program here;
    LocalPair pairs(here, {.type = IBV_QPT_UC});
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
    ASSERT_EQ(pairs.right.receive({buffer.piece(8, 8)}), 0);  // returns after the arrival
    EXPECT_TRUE(pairs.right_queue.quiet()) << "it was too late for the message";
  });
  EXPECT_EQ(fabric().snapshot().faults.at(0).fired, 1u);
}

TEST_F(DeviceTest, ABlockedVerbReturnsWhenTheFaultIsDisarmed) {
  cluster("permissive");
  int fault = fabric().arm({.verb = "ibv_alloc_pd", .action = fabric::VerbFault::Action::block});
  pid_t pid = start(0, [] { Program here; });
  wait_until("a process blocked in ibv_alloc_pd", [&](const fabric::Snapshot& seen) {
    return !seen.processes.empty() && seen.processes[0].activity == fabric::Activity::blocked &&
           seen.processes[0].verb == "ibv_alloc_pd";
  });
  fabric().disarm(fault);
  EXPECT_EQ(finish(pid), 0);
}

}  // namespace
}  // namespace railyard::test
