// Addresses and cables: a cable joins two ports, and nothing is routed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "apple/apple_test.h"

namespace railyard::test {
namespace {

using AppleTopologyTest = AppleTest;

TEST_F(AppleTopologyTest, TheSecondGidIsIpv4) {
  on_a_mac([] {
    Program here;
    ibv_gid link_local = here.gid(0), mapped = here.gid(1);
    EXPECT_EQ(link_local.raw[0], 0xfe);
    EXPECT_EQ(link_local.raw[1], 0x80);
    EXPECT_EQ(mapped.raw[10], 0xff);
    EXPECT_EQ(mapped.raw[11], 0xff);
    EXPECT_EQ(mapped.raw[12], 169);
    ibv_gid beyond{};
    EXPECT_NE(ibv_query_gid(here.context, 1, here.port_attributes().gid_tbl_len, &beyond), 0);
    EXPECT_NE(ibv_query_gid(here.context, 2, 0, &beyond), 0);
  });
}

TEST_F(AppleTopologyTest, ADeviceWhosePortIsDownOpensAndHasNoProtectionDomain) {
  cluster("apple-thunderbolt5", 2);
  fabric().unplug(fabric().cable("c1"));
  program([] {
    int count = 0;
    ibv_device** list = ibv_get_device_list(&count);
    ASSERT_EQ(count, 1);
    ibv_context* context = ibv_open_device(list[0]);
    ASSERT_NE(context, nullptr);
    ibv_port_attr port{};
    EXPECT_EQ(ibv_query_port(context, 1, &port), 0);
    EXPECT_EQ(port.state, IBV_PORT_DOWN);
    EXPECT_EQ(ibv_alloc_pd(context), nullptr);
    EXPECT_EQ(ibv_close_device(context), 0);
    ibv_free_device_list(list);
  });
}

TEST_F(AppleTopologyTest, TheAddressOfAnotherCableTimesOut) {
  // node1's second device is at the end of another cable.
  cluster("apple-thunderbolt5", 2, "", 2);
  auto other = [&] {
    Program first(0), second(1);
    Queue queue(first), queue2(second);
    Pair right(first, queue, options()), wrong(second, queue2, options());
    meeting().tell(1, right.address());
    meeting().tell(2, wrong.address());
    meeting().wait(3);
  };
  auto one = [&] {
    Program here(0);
    Queue queue(here);
    Pair pair(here, queue, options());
    ASSERT_EQ(pair.to_init(), 0);
    EXPECT_EQ(pair.to_rtr(meeting().hear<Address>(2)), ETIMEDOUT);
    EXPECT_EQ(pair.state(), IBV_QPS_INIT);
    EXPECT_EQ(pair.to_rtr(meeting().hear<Address>(1)), 0);
    meeting().signal(3);
  };
  together({one, other});
}

TEST_F(AppleTopologyTest, SendsOnAnUnpluggedCableAreNotDelivered) {
  cluster("apple-thunderbolt5", 2);
  auto receiver = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, kFrame);
    pair.connect(meeting().exchange(1, pair.address()));
    ASSERT_EQ(pair.receive({buffer.all()}), 0);
    meeting().signal(3);
    meeting().wait(4);
    EXPECT_TRUE(queue.quiet(Milliseconds(50)));
  };
  auto sender = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, kFrame);
    pair.connect(meeting().exchange(0, pair.address()));
    meeting().wait(3);
    meeting().signal(5);
    meeting().wait(6);
    ASSERT_EQ(pair.send({buffer.all()}), 0);
    usleep(20'000);
    meeting().signal(4);
  };
  pid_t first = start(0, sender), second = start(1, receiver);
  meeting().wait(5);
  fabric().unplug(fabric().cable("c1"));
  meeting().signal(6);
  EXPECT_EQ(finish(first), 0);
  EXPECT_EQ(finish(second), 0);
}

TEST_F(AppleTopologyTest, CrossedCablesCarryNothingBetweenTheOldPeers) {
  cluster("apple-thunderbolt5", 2, "", 2);
  auto body = [&](int me) {
    Program here(0);
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, kFrame);
    pair.connect(meeting().exchange(me, pair.address()));
    ASSERT_EQ(pair.receive({buffer.all()}), 0);
    meeting().signal(2 + me);
    meeting().wait(4);
    if (me == 0) {
      ASSERT_EQ(pair.send({buffer.all()}), 0);
      meeting().signal(5);
    } else {
      meeting().wait(5);
      EXPECT_TRUE(queue.quiet(Milliseconds(50)));
      meeting().signal(6);
    }
    meeting().wait(6);
  };
  pid_t first = start(0, [&] { body(0); }), second = start(1, [&] { body(1); });
  meeting().wait(2);
  meeting().wait(3);
  fabric().swap(fabric().cable("c1"), fabric().cable("c2"), 1);
  meeting().signal(4);
  meeting().wait(6);
  EXPECT_EQ(finish(first), 0);
  EXPECT_EQ(finish(second), 0);
}

TEST_F(AppleTopologyTest, NoSwitches) {
  fabric::ClusterSpec spec = fabric::default_cluster("apple-thunderbolt5", 2);
  spec.switches = {"hub"};
  EXPECT_THROW(fabric::check(spec), fabric::Error);
}

TEST_F(AppleTopologyTest, AnotherDriverHasNoIpv4Gid) {
  on_a_mac(
      [] {
        Program here;
        EXPECT_EQ(here.gid_index(), 0);
        ibv_gid_entry row{};
        EXPECT_NE(ibv_query_gid_ex(here.context, 1, 1, &row, 0), 0);
      },
      R"({"rules": {"ipv4_gid": false}})");
}

// mlx#3389, mlx#3467: JACCL uses index 1, whatever is there.
TEST_F(AppleTopologyTest, GidRowsMayBeShuffled) {
  cluster("apple-thunderbolt5", 2);
  std::array<uint8_t, 16> first{}, second{};
  program([&] {
    Program here;
    meeting().tell(0, here.gid(0));
    meeting().tell(1, here.gid(1));
  });
  memcpy(first.data(), meeting().hear<ibv_gid>(0).raw, 16);
  memcpy(second.data(), meeting().hear<ibv_gid>(1).raw, 16);
  fabric().set_gid(0, 0, second);
  fabric().set_gid(0, 1, first);
  program([&] {
    Program here;
    EXPECT_EQ(memcmp(here.gid(0).raw, second.data(), 16), 0);
    EXPECT_EQ(memcmp(here.gid(1).raw, first.data(), 16), 0);
  });
}

// The rest of macOS has been seen to say EINVAL (22) where it says ETIMEDOUT (60) elsewhere.
TEST_F(AppleTopologyTest, TheAddressOfAnotherCableMayBeInvalid) {
  cluster("apple-thunderbolt5", 2, R"({"rules": {"wrong_cable": {"errno": "EINVAL"}}})", 2);
  program([] {
    Program here(0), other(1);
    Queue queue(here), queue2(other);
    Pair pair(here, queue, options()), wrong(other, queue2, options());
    ASSERT_EQ(pair.to_init(), 0);
    EXPECT_EQ(pair.to_rtr(wrong.address()), EINVAL);
  });
}

// A RoCE adapter does not look for its peer at RTR.
TEST_F(AppleTopologyTest, TheAddressOfAnotherCableMayBeTakenInSilence) {
  cluster("apple-thunderbolt5", 2, R"({"rules": {"wrong_cable": "silence"}})", 2);
  program([] {
    Program here(0), other(1);
    Queue queue(here), queue2(other);
    Pair pair(here, queue, options()), wrong(other, queue2, options());
    Buffer buffer(here, kFrame);
    ASSERT_EQ(pair.to_init(), 0);
    ASSERT_EQ(pair.to_rtr(wrong.address()), 0);
    ASSERT_EQ(pair.to_rts(), 0);
    ASSERT_EQ(pair.send({buffer.all()}), 0);
    EXPECT_TRUE(queue.quiet());
  });
}

TEST_F(AppleTopologyTest, ADeviceWhosePortIsDownMayHaveProtectionDomains) {
  cluster("apple-thunderbolt5", 2, R"({"rules": {"port_down": "nothing"}})");
  fabric().unplug(fabric().cable("c1"));
  program([] { Program here; });
}

void receive_without_cable(fabric::Fabric& yard, Meeting& meeting) {
  Program here;
  LocalPair pairs(here, AppleTest::options());
  Buffer buffer(here, kFrame);
  yard.unplug(yard.cable("c1"));
  int error = pairs.right.receive({buffer.all()});
  meeting.tell(0, error);
}

TEST_F(AppleTopologyTest, AReceiveOnAnUnpluggedPortIsTaken) {
  cluster("apple-thunderbolt5", 2);
  program([&] { receive_without_cable(fabric(), meeting()); });
  EXPECT_EQ(meeting().hear<int>(0), 0);
}

// mlx#4192: SIGSEGV inside ibv_post_recv on both ends.
TEST_F(AppleTopologyTest, AReceiveOnAnUnpluggedPortMayCrash) {
  cluster("apple-thunderbolt5", 2, R"({"rules": {"unplugged_receive": "crash"}})");
  int status = finish(start(0, [&] {
    signal(SIGSEGV, SIG_DFL);  // not a sanitizer's handler
    receive_without_cable(fabric(), meeting());
  }));
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  EXPECT_FALSE(meeting().told(0));
}

// The devices' own figures, for those who shape a cable by them.
TEST_F(AppleTopologyTest, TheMeasuredLinkIsKnown) {
  fabric::LinkModel link = fabric::measured_link("apple-thunderbolt5");
  EXPECT_EQ(link.latency_ns, 4150);
  EXPECT_EQ(link.bandwidth_bytes_per_s, 4.75e9);
  EXPECT_EQ(link.loss, 1e-6);
  link = fabric::measured_link("apple-thunderbolt5",
                               R"({"link": {"bandwidth_bytes_per_s": 8900000000}})");
  EXPECT_EQ(link.bandwidth_bytes_per_s, 8.9e9);
}

TEST_F(AppleTopologyTest, ACableTakesItsMeasuredShape) {
  cluster("apple-thunderbolt5", 2);
  fabric().shape(fabric().cable("c1"), -1, fabric::measured_link("apple-thunderbolt5"));
  auto body = [&](int me) {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, kFrame);
    pair.connect(meeting().exchange(me, pair.address()));
    if (me == 1) {
      ASSERT_EQ(pair.receive({buffer.all()}), 0);
      meeting().signal(2);
    } else {
      meeting().wait(2);
      ASSERT_EQ(pair.send({buffer.all()}), 0);
    }
    EXPECT_EQ(queue.next().status, IBV_WC_SUCCESS);
  };
  together({[&] { body(0); }, [&] { body(1); }});
  EXPECT_EQ(fabric().snapshot().cables.at(0).links[0].messages, 1u);
}

}  // namespace
}  // namespace railyard::test
