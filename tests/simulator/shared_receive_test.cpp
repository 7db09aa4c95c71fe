// Shared receive queues (ibv_create_srq(3), InfiniBand specification 10.2.9).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cerrno>
#include <utility>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class SharedReceiveTest : public VerbsTest {
 protected:
  class Shared {
   public:
    explicit Shared(Program& program, uint32_t requests = 16) {
      ibv_srq_init_attr wanted{};
      wanted.attr.max_wr = requests;
      wanted.attr.max_sge = 1;
      queue_ = ibv_create_srq(program.domain, &wanted);
      if (!queue_) throw std::runtime_error("ibv_create_srq");
      granted_ = wanted.attr.max_wr;
    }
    Shared(const Shared&) = delete;
    ~Shared() { EXPECT_EQ(ibv_destroy_srq(queue_), 0); }

    ibv_srq* get() const { return queue_; }
    uint32_t granted() const { return granted_; }
    int receive(ibv_sge piece, uint64_t id = 0) {
      ibv_recv_wr wanted{}, *bad = nullptr;
      wanted.wr_id = id;
      wanted.sg_list = &piece;
      wanted.num_sge = 1;
      return ibv_post_srq_recv(queue_, &wanted, &bad);
    }

   private:
    ibv_srq* queue_;
    uint32_t granted_;
  };

  // Two senders whose peers share their receives.
  struct Stage {
    Program here;
    Shared shared{here};
    Queue sends{here}, receives{here};
    Pair senders[2] = {Pair(here, sends), Pair(here, sends)};
    Pair receivers[2] = {Pair(here, receives, {.shared = shared.get()}),
                         Pair(here, receives, {.shared = shared.get()})};
    Buffer from{here, 4096}, to{here, 4096};
    Stage() {
      for (int i : {0, 1}) {
        senders[i].connect(receivers[i].address());
        receivers[i].connect(senders[i].address());
      }
    }
  };

  void with_stage(const std::function<void(Stage&)>& body) {
    cluster("connectx");
    program([&] {
      Stage stage;
      body(stage);
    });
  }
};

TEST_F(SharedReceiveTest, MessagesOfAllQueuePairsTakeTheOldestReceive) {
  with_stage([](Stage& stage) {
    for (uint64_t i = 0; i < 4; ++i)
      ASSERT_EQ(stage.shared.receive(stage.to.piece(64 * i, 64), i), 0);
    for (uint64_t i = 0; i < 4; ++i) {
      stage.from.fill(i, 0, 64);
      Pair& sender = stage.senders[i % 2];
      ASSERT_EQ(sender.send({stage.from.piece(0, 64)}), 0);
      ibv_wc received = stage.receives.next();
      EXPECT_EQ(received.status, IBV_WC_SUCCESS);
      EXPECT_EQ(received.wr_id, i);
      EXPECT_EQ(received.qp_num, stage.receivers[i % 2].number());
      EXPECT_TRUE(stage.to.holds(i, 64 * i, 64));
      EXPECT_EQ(stage.sends.next().status, IBV_WC_SUCCESS);
    }
  });
}

TEST_F(SharedReceiveTest, ItsQueuePairsHaveNoReceivesOfTheirOwn) {
  with_stage([](Stage& stage) { EXPECT_NE(stage.receivers[0].receive({stage.to.all()}), 0); });
}

TEST_F(SharedReceiveTest, AFullOneRefuses) {
  with_stage([](Stage& stage) {
    for (uint32_t i = 0; i < stage.shared.granted(); ++i) {
      ASSERT_EQ(stage.shared.receive(stage.to.piece(0, 8)), 0) << i;
    }
    EXPECT_EQ(stage.shared.receive(stage.to.piece(0, 8)), ENOMEM);
  });
}

TEST_F(SharedReceiveTest, AnEmptyOneIsNotReady) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(stage.senders[0].send({stage.from.piece(0, 8)}), 0);
    EXPECT_TRUE(stage.sends.quiet());
    ASSERT_EQ(stage.shared.receive(stage.to.piece(0, 8)), 0);
    EXPECT_EQ(stage.receives.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(stage.sends.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(SharedReceiveTest, TellsOnceWhenItRunsLow) {
  with_stage([](Stage& stage) {
    for (int i = 0; i < 4; ++i) ASSERT_EQ(stage.shared.receive(stage.to.piece(0, 8)), 0);
    ibv_srq_attr attributes{.max_wr = 0, .max_sge = 0, .srq_limit = 3};
    ASSERT_EQ(ibv_modify_srq(stage.shared.get(), &attributes, IBV_SRQ_LIMIT), 0);
    ASSERT_EQ(ibv_query_srq(stage.shared.get(), &attributes), 0);
    EXPECT_EQ(attributes.srq_limit, 3u);
    auto pass = [&] {
      ASSERT_EQ(stage.senders[0].send({stage.from.piece(0, 8)}), 0);
      stage.receives.next();
      stage.sends.next();
    };
    pollfd descriptor{stage.here.context->async_fd, POLLIN, 0};
    pass();
    EXPECT_EQ(poll(&descriptor, 1, 20), 0) << "three are left";
    pass();
    ASSERT_EQ(poll(&descriptor, 1, 5000), 1) << "two are left";
    ibv_async_event event{};
    ASSERT_EQ(ibv_get_async_event(stage.here.context, &event), 0);
    EXPECT_EQ(event.event_type, IBV_EVENT_SRQ_LIMIT_REACHED);
    EXPECT_EQ(event.element.srq, stage.shared.get());
    ibv_ack_async_event(&event);
    pass();
    EXPECT_EQ(poll(&descriptor, 1, 20), 0) << "it tells once";
    ASSERT_EQ(ibv_query_srq(stage.shared.get(), &attributes), 0);
    EXPECT_EQ(attributes.srq_limit, 0u);
  });
}

TEST_F(SharedReceiveTest, SurvivesTheErrorOfOneOfItsQueuePairs) {
  with_stage([](Stage& stage) {
    for (int i = 0; i < 2; ++i) ASSERT_EQ(stage.shared.receive(stage.to.piece(0, 8)), 0);
    ASSERT_EQ(stage.receivers[0].to(IBV_QPS_ERR), 0);
    EXPECT_TRUE(stage.receives.quiet()) << "its receives are the others', too";
    ASSERT_EQ(stage.senders[1].send({stage.from.piece(0, 8)}), 0);
    EXPECT_EQ(stage.receives.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(stage.sends.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(SharedReceiveTest, CannotBeDestroyedWhileItIsUsed) {
  with_stage([](Stage& stage) { EXPECT_EQ(ibv_destroy_srq(stage.shared.get()), EBUSY); });
}

TEST_F(SharedReceiveTest, TellsOfTheLastReceiveAQueuePairTakes) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(stage.receivers[0].to(IBV_QPS_ERR), 0);
    pollfd descriptor{stage.here.context->async_fd, POLLIN, 0};
    ASSERT_EQ(poll(&descriptor, 1, 5000), 1);
    ibv_async_event event{};
    ASSERT_EQ(ibv_get_async_event(stage.here.context, &event), 0);
    EXPECT_EQ(event.event_type, IBV_EVENT_QP_LAST_WQE_REACHED);
    EXPECT_EQ(event.element.qp, stage.receivers[0].get());
    ibv_ack_async_event(&event);
  });
}

// -------------------------------------------------------------------------------------------------
// XRC: a sender names the shared receive queue that its message is for.

TEST_F(SharedReceiveTest, AnExtendedSenderChoosesAmongSharedQueues) {
  cluster("connectx");
  program([] {
    Program here;
    Queue sends(here), first_queue(here), second_queue(here);
    Buffer from(here, 4096), to(here, 4096);
    ibv_xrcd* domain = open_domain(here, -1, O_CREAT);
    ASSERT_NE(domain, nullptr);
    ibv_srq* first = create_extended_queue(here, domain, first_queue, 8);
    ibv_srq* second = create_extended_queue(here, domain, second_queue, 8);
    ASSERT_TRUE(first && second);
    uint32_t number = 0;
    ASSERT_EQ(ibv_get_srq_num(second, &number), 0);

    ibv_qp_init_attr_ex wanted{};
    wanted.qp_type = IBV_QPT_XRC_RECV;
    wanted.comp_mask = IBV_QP_INIT_ATTR_XRCD;
    wanted.xrcd = domain;
    ibv_qp* target = ibv_create_qp_ex(here.context, &wanted);
    ASSERT_NE(target, nullptr);
    wanted = {};
    wanted.qp_type = IBV_QPT_XRC_SEND;
    wanted.comp_mask = IBV_QP_INIT_ATTR_PD;
    wanted.pd = here.domain;
    wanted.send_cq = sends.get();
    wanted.cap = {8, 0, 1, 0, 0};
    wanted.sq_sig_all = 1;
    ibv_qp* sender = ibv_create_qp_ex(here.context, &wanted);
    ASSERT_NE(sender, nullptr);

    // Any reliable connection's attributes will do for both halves.
    Pair pattern(here, sends);
    for (auto [one, other] : {std::pair{target, sender}, std::pair{sender, target}}) {
      Address peer = pattern.address();
      peer.number = other->qp_num;
      for (ibv_qp_state state : {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS}) {
        ibv_qp_attr attributes = pattern.attributes(state, peer);
        ASSERT_EQ(ibv_modify_qp(one, &attributes, pattern.mask(state)), 0) << state;
      }
    }

    ibv_sge piece = to.all();
    ibv_recv_wr receive{.wr_id = 5, .next = nullptr, .sg_list = &piece, .num_sge = 1};
    ibv_recv_wr* bad_receive = nullptr;
    ASSERT_EQ(ibv_post_srq_recv(first, &receive, &bad_receive), 0);
    ASSERT_EQ(ibv_post_srq_recv(second, &receive, &bad_receive), 0);
    from.fill(1, 0, 64);
    ibv_sge data = from.piece(0, 64);
    ibv_send_wr send{}, *bad_send = nullptr;
    send.sg_list = &data;
    send.num_sge = 1;
    send.opcode = IBV_WR_SEND;
    send.qp_type.xrc.remote_srqn = number;
    ASSERT_EQ(ibv_post_send(sender, &send, &bad_send), 0);
    EXPECT_EQ(second_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(sends.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(first_queue.quiet());
    EXPECT_TRUE(to.holds(1, 0, 64));

    EXPECT_EQ(ibv_destroy_qp(sender), 0);
    EXPECT_EQ(ibv_destroy_qp(target), 0);
    EXPECT_EQ(ibv_destroy_srq(first), 0);
    EXPECT_EQ(ibv_destroy_srq(second), 0);
    EXPECT_EQ(ibv_close_xrcd(domain), 0);
  });
}

TEST_F(SharedReceiveTest, AppleHasNone) {
  cluster("apple-thunderbolt5", 2);
  program([] {
    Program here;
    EXPECT_EQ(here.device_attributes().max_srq, 0);
    ibv_srq_init_attr wanted{};
    wanted.attr = {.max_wr = 1, .max_sge = 1, .srq_limit = 0};
    EXPECT_EQ(ibv_create_srq(here.domain, &wanted), nullptr);
  });
}

}  // namespace
}  // namespace railyard::test
