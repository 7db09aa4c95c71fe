// The queue pair's state machine (InfiniBand specification, 10.3.1; ibv_modify_qp(3)).
#include <gtest/gtest.h>

#include <cerrno>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class QueuePairStateTest : public VerbsTest, public testing::WithParamInterface<ibv_qp_type> {
 protected:
  static PairOptions options() { return {.type = GetParam()}; }

  // Runs the body on a device with one queue pair in RESET.
  void with_pair(const std::function<void(Program&, Pair&)>& body) {
    cluster("permissive");
    program([&] {
      Program here;
      Queue queue(here);
      Pair pair(here, queue, options());
      body(here, pair);
    });
  }
};

INSTANTIATE_TEST_SUITE_P(Transport, QueuePairStateTest, testing::Values(IBV_QPT_RC, IBV_QPT_UC),
                         [](const auto& type) { return type.param == IBV_QPT_RC ? "RC" : "UC"; });

TEST_P(QueuePairStateTest, BeginsInReset) {
  with_pair([](Program&, Pair& pair) {
    EXPECT_EQ(pair.state(), IBV_QPS_RESET);
    EXPECT_EQ(pair.get()->state, IBV_QPS_RESET);
    EXPECT_EQ(pair.get()->qp_type, GetParam());
    EXPECT_NE(pair.number(), 0u);
  });
}

TEST_P(QueuePairStateTest, WalksFromResetToReadyToSend) {
  with_pair([](Program&, Pair& pair) {
    EXPECT_EQ(pair.to_init(), 0);
    EXPECT_EQ(pair.state(), IBV_QPS_INIT);
    EXPECT_EQ(pair.to_rtr(pair.address()), 0);
    EXPECT_EQ(pair.state(), IBV_QPS_RTR);
    EXPECT_EQ(pair.to_rts(), 0);
    EXPECT_EQ(pair.state(), IBV_QPS_RTS);
    EXPECT_EQ(pair.get()->state, IBV_QPS_RTS);
  });
}

TEST_P(QueuePairStateTest, SkipsNoState) {
  with_pair([](Program&, Pair& pair) {
    EXPECT_EQ(pair.to_rtr(pair.address()), EINVAL);
    EXPECT_EQ(pair.to_rts(), EINVAL);
    EXPECT_EQ(pair.to(IBV_QPS_SQD), EINVAL);
    EXPECT_EQ(pair.state(), IBV_QPS_RESET);
    EXPECT_EQ(pair.to_init(), 0);
    EXPECT_EQ(pair.to_rts(), EINVAL);
    EXPECT_EQ(pair.state(), IBV_QPS_INIT);
  });
}

TEST_P(QueuePairStateTest, GoesNotBackwards) {
  with_pair([](Program&, Pair& pair) {
    pair.connect(pair.address());
    EXPECT_EQ(pair.to_init(), EINVAL);
    EXPECT_EQ(pair.to_rtr(pair.address()), EINVAL);
    EXPECT_EQ(pair.state(), IBV_QPS_RTS);
  });
}

TEST_P(QueuePairStateTest, NeedsEveryAttributeOfAMove) {
  with_pair([](Program&, Pair& pair) {
    for (ibv_qp_state state : {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS}) {
      int whole = pair.mask(state);
      ibv_qp_attr attributes = pair.attributes(state, pair.address());
      for (int bit = 1; bit <= whole; bit <<= 1) {
        if (!(whole & bit) || bit == IBV_QP_STATE) continue;
        EXPECT_EQ(ibv_modify_qp(pair.get(), &attributes, whole & ~bit), EINVAL)
            << "to state " << state << " without attribute " << bit;
      }
      EXPECT_EQ(ibv_modify_qp(pair.get(), &attributes, whole), 0) << "to state " << state;
    }
  });
}

TEST_P(QueuePairStateTest, TakesNoAttributeOutOfPlace) {
  with_pair([](Program&, Pair& pair) {
    ibv_qp_attr attributes = pair.attributes(IBV_QPS_INIT);
    EXPECT_EQ(ibv_modify_qp(pair.get(), &attributes, pair.mask(IBV_QPS_INIT) | IBV_QP_SQ_PSN),
              EINVAL);
    EXPECT_EQ(pair.to_init(), 0);
    attributes = pair.attributes(IBV_QPS_RTR, pair.address());
    EXPECT_EQ(ibv_modify_qp(pair.get(), &attributes, pair.mask(IBV_QPS_RTR) | IBV_QP_TIMEOUT),
              EINVAL);
    EXPECT_EQ(pair.state(), IBV_QPS_INIT);
  });
}

TEST_P(QueuePairStateTest, RefusesAPortThatIsNotThere) {
  with_pair([](Program&, Pair& pair) {
    ibv_qp_attr attributes = pair.attributes(IBV_QPS_INIT);
    for (uint8_t port : {0, 2}) {
      attributes.port_num = port;
      EXPECT_EQ(ibv_modify_qp(pair.get(), &attributes, pair.mask(IBV_QPS_INIT)), EINVAL);
    }
    attributes.port_num = 1;
    attributes.pkey_index = 1000;
    EXPECT_EQ(ibv_modify_qp(pair.get(), &attributes, pair.mask(IBV_QPS_INIT)), EINVAL);
    EXPECT_EQ(pair.state(), IBV_QPS_RESET);
  });
}

TEST_P(QueuePairStateTest, RefusesAnMtuThatIsNone) {
  with_pair([](Program&, Pair& pair) {
    ASSERT_EQ(pair.to_init(), 0);
    ibv_qp_attr attributes = pair.attributes(IBV_QPS_RTR, pair.address());
    for (int mtu : {0, 6}) {
      attributes.path_mtu = static_cast<ibv_mtu>(mtu);
      EXPECT_EQ(ibv_modify_qp(pair.get(), &attributes, pair.mask(IBV_QPS_RTR)), EINVAL) << mtu;
    }
  });
}

TEST_P(QueuePairStateTest, AnyStateLeadsToErrorAndToReset) {
  with_pair([](Program&, Pair& pair) {
    EXPECT_EQ(pair.to_init(), 0);
    EXPECT_EQ(pair.to(IBV_QPS_ERR), 0);
    EXPECT_EQ(pair.state(), IBV_QPS_ERR);
    EXPECT_EQ(pair.to_init(), EINVAL);
    EXPECT_EQ(pair.to_rtr(pair.address()), EINVAL);
    EXPECT_EQ(pair.to(IBV_QPS_RESET), 0);
    pair.connect(pair.address());
    EXPECT_EQ(pair.to(IBV_QPS_ERR), 0);
    EXPECT_EQ(pair.to(IBV_QPS_RESET), 0);
    EXPECT_EQ(pair.state(), IBV_QPS_RESET);
  });
}

TEST_P(QueuePairStateTest, WorksAgainAfterAReset) {
  cluster("permissive");
  program([&] {
    Program here;
    LocalPair pairs(here, options());
    Buffer buffer(here, 4096);
    for (Pair* pair : {&pairs.left, &pairs.right}) {
      EXPECT_EQ(pair->to(IBV_QPS_ERR), 0);
      EXPECT_EQ(pair->to(IBV_QPS_RESET), 0);
    }
    pairs.left.connect(pairs.right.address());
    pairs.right.connect(pairs.left.address());
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, 64)}, 1), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(64, 64)}, {.id = 2}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_P(QueuePairStateTest, AResetForgetsWhatWasPosted) {
  cluster("permissive");
  program([&] {
    Program here;
    LocalPair pairs(here, options());
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, 64)}, 1), 0);
    EXPECT_EQ(pairs.right.to(IBV_QPS_RESET), 0);
    EXPECT_TRUE(pairs.right_queue.quiet());
  });
}

TEST_P(QueuePairStateTest, AQueryReturnsWhatWasSet) {
  with_pair([](Program& here, Pair& pair) {
    pair.connect(pair.address());
    ibv_qp_attr seen{};
    ibv_qp_init_attr initial{};
    ASSERT_EQ(ibv_query_qp(pair.get(), &seen,
                           IBV_QP_STATE | IBV_QP_DEST_QPN | IBV_QP_PATH_MTU | IBV_QP_AV |
                               IBV_QP_ACCESS_FLAGS | IBV_QP_PORT | IBV_QP_CAP | IBV_QP_TIMEOUT |
                               IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MIN_RNR_TIMER,
                           &initial),
              0);
    EXPECT_EQ(seen.dest_qp_num, pair.number());
    EXPECT_EQ(seen.path_mtu, here.port_attributes().active_mtu);
    EXPECT_EQ(seen.port_num, 1);
    EXPECT_EQ(seen.ah_attr.dlid, here.port_attributes().lid);
    EXPECT_EQ(seen.qp_access_flags, options().access);
    EXPECT_EQ(seen.cap.max_send_wr, pair.granted().max_send_wr);
    EXPECT_EQ(initial.cap.max_recv_wr, pair.granted().max_recv_wr);
    EXPECT_EQ(initial.qp_type, GetParam());
    if (GetParam() != IBV_QPT_RC) return;
    EXPECT_EQ(seen.timeout, options().timeout);
    EXPECT_EQ(seen.retry_cnt, options().retries);
    EXPECT_EQ(seen.rnr_retry, options().rnr_retries);
    EXPECT_EQ(seen.min_rnr_timer, options().rnr_timer);
  });
}

TEST_P(QueuePairStateTest, SendsBelongToReadyToSend) {
  with_pair([](Program& here, Pair& pair) {
    Buffer buffer(here, 4096);
    EXPECT_NE(pair.send({buffer.piece(0, 8)}), 0) << "in RESET";
    ASSERT_EQ(pair.to_init(), 0);
    EXPECT_NE(pair.send({buffer.piece(0, 8)}), 0) << "in INIT";
    ASSERT_EQ(pair.to_rtr(pair.address()), 0);
    EXPECT_NE(pair.send({buffer.piece(0, 8)}), 0) << "in RTR";
    ASSERT_EQ(pair.to_rts(), 0);
    ASSERT_EQ(pair.receive({buffer.piece(0, 8)}), 0);
    EXPECT_EQ(pair.send({buffer.piece(8, 8)}), 0) << "in RTS";
  });
}

TEST_P(QueuePairStateTest, ReceivesArePostedFromInit) {
  with_pair([](Program& here, Pair& pair) {
    Buffer buffer(here, 4096);
    EXPECT_NE(pair.receive({buffer.piece(0, 8)}), 0) << "in RESET";
    ASSERT_EQ(pair.to_init(), 0);
    EXPECT_EQ(pair.receive({buffer.piece(0, 8)}), 0) << "in INIT";
    ASSERT_EQ(pair.to_rtr(pair.address()), 0);
    EXPECT_EQ(pair.receive({buffer.piece(8, 8)}), 0) << "in RTR";
  });
}

TEST_P(QueuePairStateTest, RequestsInErrorAreFlushed) {
  cluster("permissive");
  program([&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, 4096);
    pair.connect(pair.address());
    ASSERT_EQ(pair.to(IBV_QPS_ERR), 0);
    EXPECT_EQ(pair.receive({buffer.piece(0, 8)}, 1), 0);
    EXPECT_EQ(pair.send({buffer.piece(8, 8)}, {.id = 2}), 0);
    for (const ibv_wc& completion : queue.next(2)) {
      EXPECT_EQ(completion.status, IBV_WC_WR_FLUSH_ERR);
      EXPECT_EQ(completion.qp_num, pair.number());
    }
  });
}

TEST_P(QueuePairStateTest, NumbersAreTheirOwn) {
  cluster("permissive");
  program([&] {
    Program here;
    Queue queue(here);
    Pair first(here, queue, options()), second(here, queue, options());
    EXPECT_NE(first.number(), second.number());
  });
}

TEST_P(QueuePairStateTest, WhatItUsesCannotBeDestroyed) {
  with_pair([](Program& here, Pair& pair) {
    EXPECT_EQ(ibv_destroy_cq(pair.get()->send_cq), EBUSY);
    EXPECT_EQ(ibv_dealloc_pd(here.domain), EBUSY);
    EXPECT_EQ(pair.to_init(), 0);
  });
}

TEST_P(QueuePairStateTest, TheFabricShowsItsState) {
  cluster("permissive");
  pid_t pid = start(0, [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    pair.connect(pair.address());
    meeting().signal(0);
    meeting().wait(1);
  });
  meeting().wait(0);
  fabric::Snapshot seen = fabric().snapshot();
  ASSERT_EQ(seen.queue_pairs.size(), 1u);
  EXPECT_EQ(seen.queue_pairs[0].state, "RTS");
  EXPECT_EQ(seen.queue_pairs[0].type, GetParam() == IBV_QPT_RC ? "RC" : "UC");
  EXPECT_EQ(seen.queue_pairs[0].peer_number, seen.queue_pairs[0].number);
  EXPECT_TRUE(seen.queue_pairs[0].reachable);
  meeting().signal(1);
  EXPECT_EQ(finish(pid), 0);
  EXPECT_TRUE(fabric().snapshot().queue_pairs.empty());
  EXPECT_TRUE(fabric().snapshot().contexts.empty());
}

class QueuePairTypeTest : public VerbsTest {};

// Its completions go with a queue pair; those of another in the same queue stay (mlx5_cq_clean).
TEST_F(QueuePairTypeTest, CompletionsEndWithTheirQueuePair) {
  cluster("connectx");
  program([&] {
    Program here;
    Queue queue(here);
    Buffer buffer(here, 4096);
    Pair stays(here, queue);
    ASSERT_EQ(stays.to_init(), 0);
    auto flushed = [&](Pair& pair, uint64_t id) {
      ASSERT_EQ(pair.to_init(), 0);
      ASSERT_EQ(pair.receive({buffer.piece(0, 8)}, id), 0);
      ASSERT_EQ(pair.to(IBV_QPS_ERR), 0);
    };
    ASSERT_EQ(stays.receive({buffer.piece(0, 8)}, 2), 0);
    {
      Pair goes(here, queue);
      flushed(goes, 1);
      ASSERT_EQ(stays.to(IBV_QPS_ERR), 0);
      Pair anew(here, queue);
      flushed(anew, 3);
      ASSERT_EQ(anew.to(IBV_QPS_RESET), 0);
    }
    EXPECT_EQ(queue.next().wr_id, 2u);
    EXPECT_TRUE(queue.quiet());
  });
}

TEST_F(QueuePairTypeTest, WhatTheDeviceDoesNotOfferIsRefused) {
  cluster("permissive", 1, R"({"rules": {"transports": ["RC"]}})");
  program([&] {
    Program here;
    Queue queue(here);
    ibv_qp_init_attr wanted{};
    wanted.send_cq = wanted.recv_cq = queue.get();
    wanted.cap = {1, 1, 1, 1, 0};
    for (ibv_qp_type type : {IBV_QPT_UC, IBV_QPT_UD, IBV_QPT_RAW_PACKET}) {
      wanted.qp_type = type;
      errno = 0;
      EXPECT_EQ(ibv_create_qp(here.domain, &wanted), nullptr) << type;
      EXPECT_EQ(errno, EOPNOTSUPP) << type;
    }
  });
}

TEST_F(QueuePairTypeTest, MoreThanTheDeviceHasIsRefused) {
  cluster("connectx");
  program([&] {
    Program here;
    ibv_device_attr device = here.device_attributes();
    Queue queue(here);
    auto refused = [&](ibv_qp_cap cap) {
      ibv_qp_init_attr wanted{};
      wanted.send_cq = wanted.recv_cq = queue.get();
      wanted.qp_type = IBV_QPT_RC;
      wanted.cap = cap;
      errno = 0;
      ibv_qp* pair = ibv_create_qp(here.domain, &wanted);
      if (pair) ibv_destroy_qp(pair);
      return pair == nullptr && errno == EINVAL;
    };
    auto most = static_cast<uint32_t>(device.max_qp_wr);
    auto pieces = static_cast<uint32_t>(device.max_sge);
    EXPECT_TRUE(refused({most + 1, 1, 1, 1, 0}));
    EXPECT_TRUE(refused({1, most + 1, 1, 1, 0}));
    EXPECT_TRUE(refused({1, 1, pieces + 1, 1, 0}));
    EXPECT_TRUE(refused({1, 1, 1, pieces + 1, 0}));
    EXPECT_TRUE(refused({1, 1, 1, 1, 1 << 20}));
    EXPECT_FALSE(refused({1, 1, pieces, pieces, 64}));
  });
}

}  // namespace
}  // namespace railyard::test
