// What a send queue has room for, and what an error in one of its requests does to it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <vector>

#include "verbs_test.h"

namespace railyard::test {
namespace {

constexpr uint32_t kDepth = 8;

// InfiniBand specification 10.8.5: a request's place is free when its completion has been read, and that of an
// unsignaled one when the completion of a later one has.
class SendQueueTest : public VerbsTest, public testing::WithParamInterface<ibv_qp_type> {
 protected:
  void with_pairs(const std::function<void(LocalPair&, Buffer&)>& body) {
    cluster("connectx");
    program([&] {
      Program here;
      LocalPair pairs(here, {.type = GetParam(), .sends = kDepth, .signal_all = false});
      ASSERT_EQ(pairs.left.granted().max_send_wr, kDepth);
      Buffer buffer(here, 4096);
      body(pairs, buffer);
    });
  }
  // Fills the send queue and sees all of it arrive; only these requests are signaled.
  static void fill(LocalPair& pairs, Buffer& buffer, const std::vector<uint32_t>& signaled) {
    for (uint32_t i = 0; i < kDepth; ++i) {
      bool tells = std::find(signaled.begin(), signaled.end(), i) != signaled.end();
      ASSERT_EQ(pairs.right.receive({buffer.all()}), 0);
      ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}, {.id = i, .flags = tells ? unsigned{IBV_SEND_SIGNALED} : 0}), 0);
      ASSERT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    }
  }
  static int send(LocalPair& pairs, Buffer& buffer) {
    return pairs.left.send({buffer.piece(0, 8)}, {.flags = IBV_SEND_SIGNALED});
  }
};

INSTANTIATE_TEST_SUITE_P(Transport, SendQueueTest, testing::Values(IBV_QPT_RC, IBV_QPT_UC),
                         [](const auto& type) { return type.param == IBV_QPT_RC ? "RC" : "UC"; });

TEST_P(SendQueueTest, APlaceIsFreeWhenItsCompletionIsRead) {
  with_pairs([](LocalPair& pairs, Buffer& buffer) {
    fill(pairs, buffer, {0, 1, 2, 3, 4, 5, 6, 7});
    EXPECT_EQ(send(pairs, buffer), ENOMEM) << "though everything has arrived";
    EXPECT_EQ(pairs.left_queue.next().wr_id, 0u);
    EXPECT_EQ(send(pairs, buffer), 0);
    EXPECT_EQ(send(pairs, buffer), ENOMEM);
  });
}

TEST_P(SendQueueTest, UnsignaledPlacesAreFreeWithTheNextCompletion) {
  with_pairs([](LocalPair& pairs, Buffer& buffer) {
    fill(pairs, buffer, {4, 7});
    EXPECT_EQ(pairs.left_queue.next().wr_id, 4u);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(send(pairs, buffer), 0) << i;
    EXPECT_EQ(send(pairs, buffer), ENOMEM);
    EXPECT_EQ(pairs.left_queue.next().wr_id, 7u);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(send(pairs, buffer), 0) << i;
    EXPECT_EQ(send(pairs, buffer), ENOMEM);
  });
}

// The well-known mistake: nothing ever tells that they are done.
TEST_P(SendQueueTest, UnsignaledRequestsAloneFillItForEver) {
  with_pairs([](LocalPair& pairs, Buffer& buffer) {
    fill(pairs, buffer, {});
    EXPECT_TRUE(pairs.left_queue.quiet());
    EXPECT_EQ(send(pairs, buffer), ENOMEM);
  });
}

// They are done all the same, and an error of the queue pair has nothing to say of them.
TEST_P(SendQueueTest, UnsignaledRequestsThatArrivedAreNotFlushed) {
  with_pairs([](LocalPair& pairs, Buffer& buffer) {
    ASSERT_EQ(pairs.right.receive({buffer.all()}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}, {.flags = 0}), 0);
    ASSERT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    ASSERT_EQ(pairs.left.to(IBV_QPS_ERR), 0);
    EXPECT_TRUE(pairs.left_queue.quiet());
  });
}

// A long one stays in its sender's memory until it has arrived.
TEST_P(SendQueueTest, LongOnesThatArrivedAreNotFlushedEither) {
  cluster("connectx");
  program([&] {
    Program here;
    LocalPair pairs(here, {.type = GetParam(), .sends = kDepth, .signal_all = false});
    Buffer buffer(here, 1 << 20);
    for (size_t bytes : {size_t{8}, buffer.bytes()}) {
      ASSERT_EQ(pairs.right.receive({buffer.all()}), 0);
      ASSERT_EQ(pairs.left.send({buffer.piece(0, bytes)}, {.flags = 0}), 0);
    }
    for (int i = 0; i < 2; ++i) ASSERT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    ASSERT_EQ(pairs.left.to(IBV_QPS_ERR), 0);
    EXPECT_TRUE(pairs.left_queue.quiet());
  });
}

TEST_P(SendQueueTest, AResetEmptiesIt) {
  with_pairs([](LocalPair& pairs, Buffer& buffer) {
    fill(pairs, buffer, {});
    Address peer = pairs.right.address();
    ASSERT_EQ(pairs.left.to(IBV_QPS_RESET), 0);
    ASSERT_EQ(pairs.right.to(IBV_QPS_RESET), 0);
    pairs.left.connect(peer);
    pairs.right.connect(pairs.left.address());
    fill(pairs, buffer, {});
  });
}

// -------------------------------------------------------------------------------------------------

// InfiniBand specification 10.3.1: an error in a request takes a reliable connection's queue pair to ERR and that of
// an unreliable service to SQE, where sends are flushed and receives go on.
class SendErrorTest : public VerbsTest {
 protected:
  static ibv_sge wrong(ibv_sge piece) {
    piece.lkey ^= 0x5555;
    return piece;
  }
};

TEST_F(SendErrorTest, OfAReliableConnectionIsTheEnd) {
  cluster("connectx");
  program([] {
    Program here;
    LocalPair pairs(here);
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.left.receive({buffer.all()}, 7), 0);
    ASSERT_EQ(pairs.left.send({wrong(buffer.piece(0, 8))}), 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_LOC_PROT_ERR);
    ibv_wc receive = pairs.left_queue.next();
    EXPECT_EQ(receive.wr_id, 7u);
    EXPECT_EQ(receive.status, IBV_WC_WR_FLUSH_ERR);
    EXPECT_EQ(pairs.left.state(), IBV_QPS_ERR);
  });
}

TEST_F(SendErrorTest, OfAnUnreliableConnectionStopsItsSendsAlone) {
  cluster("connectx");
  program([] {
    Program here;
    LocalPair pairs(here, {.type = IBV_QPT_UC});
    Buffer from(here, 4096), to(here, 4096);
    from.fill(3);
    ASSERT_EQ(pairs.left.receive({to.all()}, 7), 0);
    ASSERT_EQ(pairs.left.send({wrong(from.piece(0, 8))}, {.id = 1}), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 8)}, {.id = 2}), 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_LOC_PROT_ERR);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_WR_FLUSH_ERR);
    EXPECT_EQ(pairs.left.state(), IBV_QPS_SQE);
    ASSERT_EQ(pairs.left.send({from.piece(0, 8)}, {.id = 3}), 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_WR_FLUSH_ERR);

    ASSERT_EQ(pairs.right.send({from.all()}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
    ibv_wc received = pairs.left_queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.wr_id, 7u);
    EXPECT_TRUE(to.holds(3));

    ASSERT_EQ(pairs.left.to(IBV_QPS_RTS), 0) << "and it can be taken up again";
    ASSERT_EQ(pairs.right.receive({to.all()}, 8), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 8)}, {.id = 4}), 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.right_queue.next().wr_id, 8u);
  });
}

TEST_F(SendErrorTest, OfDatagramsStopsTheirSendsAlone) {
  cluster("connectx");
  program([] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UD});
    pair.connect();
    Buffer buffer(here, 4096);
    ibv_ah_attr attributes{};
    attributes.dlid = here.port_attributes().lid;
    attributes.port_num = 1;
    ibv_ah* handle = ibv_create_ah(here.domain, &attributes);
    ASSERT_NE(handle, nullptr);
    Request to_itself{.handle = handle, .number = pair.number()};
    ASSERT_EQ(pair.receive({buffer.all()}, 7), 0);
    ASSERT_EQ(pair.send({wrong(buffer.piece(0, 8))}, to_itself), 0);
    EXPECT_EQ(queue.next().status, IBV_WC_LOC_PROT_ERR);
    EXPECT_EQ(pair.state(), IBV_QPS_SQE);
    ASSERT_EQ(pair.to(IBV_QPS_RTS), 0);
    ASSERT_EQ(pair.send({buffer.piece(0, 8)}, to_itself), 0);
    for (const ibv_wc& completion : queue.next(2)) EXPECT_EQ(completion.status, IBV_WC_SUCCESS);
    ibv_destroy_ah(handle);
  });
}

}  // namespace
}  // namespace railyard::test
