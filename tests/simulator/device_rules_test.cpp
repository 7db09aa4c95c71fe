// What Apple's RDMA over Thunderbolt does, rule by rule, and what other drivers do instead.
// Each rule's source is in simulator/profiles/apple-thunderbolt5.json.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "verbs_test.h"

namespace railyard::test {
namespace {

constexpr size_t kFrame = 4096;

class AppleTest : public VerbsTest {
 protected:
  static PairOptions options() {
    return {.type = IBV_QPT_UC, .sends = 16, .receives = 16, .access = IBV_ACCESS_LOCAL_WRITE};
  }
  // Two Macs and a cable. The body runs on the first.
  void on_a_mac(const std::function<void()>& body, const std::string& overrides = "") {
    cluster("apple-thunderbolt5", 2, overrides);
    program(body);
  }
  static ibv_qp* create(Program& here, Queue& queue, ibv_qp_type type = IBV_QPT_UC,
                        ibv_qp_cap cap = {16, 16, 1, 1, 0}) {
    ibv_qp_init_attr wanted{};
    wanted.send_cq = wanted.recv_cq = queue.get();
    wanted.qp_type = type;
    wanted.cap = cap;
    errno = 0;
    return ibv_create_qp(here.domain, &wanted);
  }
};

TEST_F(AppleTest, DevicesAreNamedAfterTheirInterfaces) {
  on_a_mac([] {
    Program here("rdma_en2");
    EXPECT_EQ(here.port_attributes().link_layer, 100);
    EXPECT_EQ(here.port_attributes().state, IBV_PORT_ACTIVE);
  });
}

TEST_F(AppleTest, OnlyUnreliableConnections) {
  on_a_mac([] {
    Program here;
    Queue queue(here);
    for (ibv_qp_type type : {IBV_QPT_RC, IBV_QPT_UD}) {
      EXPECT_EQ(create(here, queue, type), nullptr);
      EXPECT_EQ(errno, EOPNOTSUPP);
    }
  });
}

TEST_F(AppleTest, OnlySendAndReceive) {
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

TEST_F(AppleTest, TenQueuePairsAndTheEleventhIsBusy) {
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

TEST_F(AppleTest, QueuePairsAreCountedByDeviceNotByContext) {
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

TEST_F(AppleTest, QueuePairsOfAKilledProcessAreFreeAgain) {
  cluster("apple-thunderbolt5", 2);
  auto take_all = [&] {
    Program here;
    Queue queue(here);
    for (int i = 0; i < 10; ++i) ASSERT_NE(create(here, queue), nullptr) << i;
    _exit(HasFailure() ? 1 : 0);  // as a crash would: nothing is given back
  };
  for (int round = 0; round < 3; ++round) program(take_all);
}

TEST_F(AppleTest, ASecondContextBlocksForEver) {
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

TEST_F(AppleTest, AnotherDriverRefusesTheSecondContext) {
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

TEST_F(AppleTest, AHundredRegions) {
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

TEST_F(AppleTest, RegionsBeginAtAPage) {
  on_a_mac([] {
    Program here;
    Buffer aligned(here, 2 * kFrame);
    errno = 0;
    EXPECT_EQ(ibv_reg_mr(here.domain, aligned.data() + 64, kFrame, IBV_ACCESS_LOCAL_WRITE),
              nullptr);
    EXPECT_EQ(errno, EINVAL);
  });
}

TEST_F(AppleTest, RegionsAreForLocalWritesOnly) {
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

TEST_F(AppleTest, OnePieceARequest) {
  on_a_mac([] {
    Program here;
    EXPECT_EQ(here.device_attributes().max_sge, 1);
    Queue queue(here);
    EXPECT_EQ(create(here, queue, IBV_QPT_UC, {16, 16, 2, 1, 0}), nullptr);
    EXPECT_EQ(errno, EINVAL);
  });
}

TEST_F(AppleTest, QueuesAreGrantedInFrames) {
  on_a_mac([] {
    Program here;
    Queue queue(here);
    Pair small(here, queue, {.type = IBV_QPT_UC, .sends = 256, .receives = 256});
    EXPECT_EQ(small.granted().max_send_wr, 1023u);
    EXPECT_EQ(small.granted().max_recv_wr, 1023u);
    Pair large(here, queue, {.type = IBV_QPT_UC, .sends = 4095, .receives = 4095});
    EXPECT_EQ(large.granted().max_send_wr, 4095u);
    ibv_qp_attr seen{};
    ibv_qp_init_attr initial{};
    ASSERT_EQ(ibv_query_qp(small.get(), &seen, IBV_QP_CAP, &initial), 0);
    EXPECT_EQ(seen.cap.max_send_wr, 1023u);
    EXPECT_EQ(create(here, queue, IBV_QPT_UC, {4096, 16, 1, 1, 0}), nullptr);
    EXPECT_EQ(here.device_attributes().max_qp_wr, 4095);
  });
}

TEST_F(AppleTest, AFullQueueIsFullOfFramesNotOfRequests) {
  on_a_mac([] {
    Program here;
    LocalPair pairs(here, options());
    Buffer buffer(here, 256 * kFrame);
    // 1023 frames were granted: three messages of 256 frames and one of 255 fit.
    for (int i = 0; i < 3; ++i) ASSERT_EQ(pairs.right.receive({buffer.all()}), 0) << i;
    EXPECT_EQ(pairs.right.receive({buffer.all()}), ENOMEM);
    EXPECT_EQ(pairs.right.receive({buffer.piece(0, 255 * kFrame)}), 0);
    EXPECT_EQ(pairs.right.receive({buffer.piece(0, 1)}), ENOMEM);
  });
}

TEST_F(AppleTest, AMessageWaitsForItsReceive) {
  on_a_mac([] {
    Program here;
    LocalPair pairs(here, options());
    Buffer from(here, kFrame), to(here, kFrame);
    from.fill(1);
    ASSERT_EQ(pairs.left.send({from.all()}), 0);
    EXPECT_TRUE(pairs.left_queue.quiet(Milliseconds(50)));
    ASSERT_EQ(pairs.right.receive({to.all()}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(to.holds(1));
  });
}

TEST_F(AppleTest, FrameCountsMustMatch) {
  on_a_mac([] {
    Program here;
    for (size_t receive : {1 * kFrame, 8 * kFrame}) {
      SCOPED_TRACE(receive);
      LocalPair pairs(here, options());
      Buffer buffer(here, 16 * kFrame);
      ASSERT_EQ(pairs.right.receive({buffer.piece(0, receive)}), 0);
      ASSERT_EQ(pairs.left.send({buffer.piece(8 * kFrame, 4 * kFrame)}), 0);
      EXPECT_NE(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    }
  });
}

TEST_F(AppleTest, ABrokenFrameCountsAsOne) {
  on_a_mac([] {
    Program here;
    LocalPair pairs(here, options());
    Buffer from(here, 8 * kFrame), to(here, 8 * kFrame);
    from.fill(2);
    // 2 frames and a byte meet a receive of 3 frames.
    ASSERT_EQ(pairs.right.receive({to.piece(0, 3 * kFrame)}), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 2 * kFrame + 1)}), 0);
    ibv_wc received = pairs.right_queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.byte_len, 2 * kFrame + 1);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(AppleTest, TheFabricCountsFrameMismatches) {
  cluster("apple-thunderbolt5", 2);
  pid_t pid = start(0, [&] {
    Program here;
    LocalPair pairs(here, options());
    Buffer buffer(here, 8 * kFrame);
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, kFrame)}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(0, 2 * kFrame)}), 0);
    pairs.right_queue.next();
    meeting().signal(0);
    meeting().wait(1);
  });
  meeting().wait(0);
  uint64_t mismatches = 0;
  for (const auto& pair : fabric().snapshot().queue_pairs) mismatches += pair.frame_mismatches;
  EXPECT_EQ(mismatches, 1u);
  meeting().signal(1);
  EXPECT_EQ(finish(pid), 0);
}

TEST_F(AppleTest, MessagesEndBelowSixteenMegabytes) {
  on_a_mac([] {
    Program here;
    EXPECT_EQ(here.port_attributes().max_msg_sz, 16'773'120u);
    LocalPair pairs(
        here,
        {.type = IBV_QPT_UC, .sends = 4095, .receives = 4095, .access = IBV_ACCESS_LOCAL_WRITE});
    Buffer from(here, 17 << 20), to(here, 17 << 20);
    EXPECT_NE(pairs.left.send({from.piece(0, 16'773'121)}), 0);
    from.fill(3, 0, 16'773'120);
    ASSERT_EQ(pairs.right.receive({to.piece(0, 16'773'120)}), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 16'773'120)}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(to.holds(3, 0, 16'773'120));
  });
}

TEST_F(AppleTest, ReceivesArePostedFromReadyToSend) {
  on_a_mac([] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, kFrame);
    ASSERT_EQ(pair.to_init(), 0);
    EXPECT_EQ(pair.receive({buffer.all()}), EINVAL) << "in INIT";
    ASSERT_EQ(pair.to_rtr(pair.address()), 0);
    EXPECT_EQ(pair.receive({buffer.all()}), EINVAL) << "in RTR";
    ASSERT_EQ(pair.to_rts(), 0);
    EXPECT_EQ(pair.receive({buffer.all()}), 0) << "in RTS";
  });
}

TEST_F(AppleTest, TheSecondGidIsIpv4) {
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

TEST_F(AppleTest, ADeviceWhosePortIsDownOpensAndHasNoProtectionDomain) {
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

TEST_F(AppleTest, TheAddressOfAnotherCableTimesOut) {
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

TEST_F(AppleTest, SendsOnAnUnpluggedCableAreNotDelivered) {
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

TEST_F(AppleTest, CrossedCablesCarryNothingBetweenTheOldPeers) {
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

}  // namespace
}  // namespace railyard::test
