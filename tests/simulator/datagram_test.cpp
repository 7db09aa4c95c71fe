// Unreliable datagrams and multicast (InfiniBand specification, 9.8.3, 10.2.2 and 10.5).
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "verbs_test.h"

namespace railyard::test {
namespace {

constexpr size_t kGrhBytes = 40;

class DatagramTest : public VerbsTest {
 protected:
  static PairOptions options() { return {.type = IBV_QPT_UD}; }

  // An address handle.
  class Handle {
   public:
    Handle(Program& program, const Address& peer, bool global = false) {
      ibv_ah_attr attributes{};
      attributes.port_num = 1;
      attributes.dlid = peer.lid;
      attributes.is_global = global;
      attributes.grh.dgid = peer.gid;
      handle_ = ibv_create_ah(program.domain, &attributes);
      EXPECT_NE(handle_, nullptr);
    }
    explicit Handle(ibv_ah* handle) : handle_(handle) {}
    Handle(const Handle&) = delete;
    ~Handle() { EXPECT_EQ(ibv_destroy_ah(handle_), 0); }
    ibv_ah* get() const { return handle_; }

   private:
    ibv_ah* handle_;
  };

  // Two datagram queue pairs on one port.
  struct Stage {
    Program here;
    Queue left_queue{here}, right_queue{here};
    Pair left{here, left_queue, options()}, right{here, right_queue, options()};
    Buffer from{here, 8192}, to{here, 8192};
    Stage() {
      left.connect();
      right.connect();
    }
    Request request(const Handle& handle) const {
      return {.handle = handle.get(), .number = right.number()};
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

TEST_F(DatagramTest, ADatagramArrivesBehindRoomForAHeader) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address());
    stage.from.fill(1, 0, 100);
    ASSERT_EQ(stage.right.receive({stage.to.all()}, 5), 0);
    ASSERT_EQ(stage.left.send({stage.from.piece(0, 100)}, stage.request(handle)), 0);
    ibv_wc received = stage.right_queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.opcode, IBV_WC_RECV);
    EXPECT_EQ(received.wr_id, 5u);
    EXPECT_EQ(received.byte_len, kGrhBytes + 100);
    EXPECT_EQ(received.src_qp, stage.left.number());
    EXPECT_EQ(received.slid, stage.left.address().lid);
    EXPECT_TRUE(stage.to.holds(1, kGrhBytes, 100));
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(DatagramTest, AGlobalRouteHeaderSaysWhoSentIt) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address(), true);
    ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
    ASSERT_EQ(stage.left.send({stage.from.piece(0, 8)}, stage.request(handle)), 0);
    ibv_wc received = stage.right_queue.next();
    ASSERT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_TRUE(received.wc_flags & IBV_WC_GRH);
    ibv_grh header;
    memcpy(&header, stage.to.data(), sizeof header);
    Address sender = stage.left.address(), receiver = stage.right.address();
    EXPECT_EQ(memcmp(&header.sgid, &sender.gid, sizeof sender.gid), 0);
    EXPECT_EQ(memcmp(&header.dgid, &receiver.gid, sizeof receiver.gid), 0);
    stage.left_queue.next();
  });
}

TEST_F(DatagramTest, AnAnswerGoesBackWhereTheDatagramCameFrom) {
  with_stage([](Stage& stage) {
    for (bool global : {false, true}) {
      Handle handle(stage.here, stage.right.address(), global);
      ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
      ASSERT_EQ(stage.left.receive({stage.from.piece(4096, 4096)}), 0);
      ASSERT_EQ(stage.left.send({stage.from.piece(0, 8)}, stage.request(handle)), 0);
      ibv_wc received = stage.right_queue.next();
      Handle back(ibv_create_ah_from_wc(stage.here.domain, &received,
                                        reinterpret_cast<ibv_grh*>(stage.to.data()), 1));
      ASSERT_NE(back.get(), nullptr);
      ASSERT_EQ(stage.right.send({stage.to.piece(0, 8)},
                                 {.handle = back.get(), .number = received.src_qp}),
                0);
      for (const ibv_wc& done : stage.left_queue.next(2)) EXPECT_EQ(done.status, IBV_WC_SUCCESS);
      EXPECT_EQ(stage.right_queue.next().status, IBV_WC_SUCCESS);
    }
  });
}

TEST_F(DatagramTest, ImmediateDataComesAlong) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address());
    Request request = stage.request(handle);
    request.opcode = IBV_WR_SEND_WITH_IMM;
    request.immediate = htonl(7);
    ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
    ASSERT_EQ(stage.left.send({stage.from.piece(0, 8)}, request), 0);
    ibv_wc received = stage.right_queue.next();
    EXPECT_TRUE(received.wc_flags & IBV_WC_WITH_IMM);
    EXPECT_EQ(ntohl(received.imm_data), 7u);
    stage.left_queue.next();
  });
}

TEST_F(DatagramTest, AWrongKeyIsDroppedInSilence) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address());
    Request request = stage.request(handle);
    request.qkey = 0x2222;
    ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
    ASSERT_EQ(stage.left.send({stage.from.piece(0, 8)}, request), 0);
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(stage.right_queue.quiet());
  });
}

TEST_F(DatagramTest, AControlledKeyIsThatOfTheSendersQueuePair) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address());
    Request request = stage.request(handle);
    request.qkey = 0x80000000;
    ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
    ASSERT_EQ(stage.left.send({stage.from.piece(0, 8)}, request), 0);
    EXPECT_EQ(stage.right_queue.next().status, IBV_WC_SUCCESS);
    stage.left_queue.next();
  });
}

// Its completion is due at once, and nobody but the sender knows.
TEST_F(DatagramTest, AnArmedQueueTellsThatItHasLeft) {
  cluster("connectx");
  program([&] {
    Program here;
    ibv_comp_channel* channel = ibv_create_comp_channel(here.context);
    {
      Queue told(here, 64, channel), other(here);
      Pair left(here, told, other, options()), right(here, other, options());
      Buffer buffer(here, 4096);
      left.connect();
      right.connect();
      Handle handle(here, right.address());
      ASSERT_EQ(ibv_req_notify_cq(told.get(), 0), 0);
      ASSERT_EQ(left.send({buffer.piece(0, 8)}, {.handle = handle.get(), .number = right.number()}),
                0);
      pollfd event{channel->fd, POLLIN, 0};
      ASSERT_EQ(poll(&event, 1, 5000), 1);
      ibv_cq* queue = nullptr;
      void* user = nullptr;
      ASSERT_EQ(ibv_get_cq_event(channel, &queue, &user), 0);
      ibv_ack_cq_events(queue, 1);
      EXPECT_EQ(queue, told.get());
      EXPECT_EQ(told.next().status, IBV_WC_SUCCESS);
    }
    EXPECT_EQ(ibv_destroy_comp_channel(channel), 0);
  });
}

TEST_F(DatagramTest, WithoutAReceiveItIsLost) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address());
    ASSERT_EQ(stage.left.send({stage.from.piece(0, 8)}, stage.request(handle)), 0);
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
    ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
    EXPECT_TRUE(stage.right_queue.quiet());
  });
}

TEST_F(DatagramTest, ToAQueuePairThatIsNoneItIsLost) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address());
    for (uint32_t number : {0u, 4242u, 0xffffffu}) {
      ASSERT_EQ(
          stage.left.send({stage.from.piece(0, 8)}, {.handle = handle.get(), .number = number}), 0);
      EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
    }
    EXPECT_EQ(stage.left.state(), IBV_QPS_RTS);
  });
}

TEST_F(DatagramTest, EndsAtTheMtu) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address());
    ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
    stage.from.fill(3, 0, 4096);
    ASSERT_EQ(stage.left.send({stage.from.piece(0, 4096)}, stage.request(handle)), 0);
    EXPECT_EQ(stage.right_queue.next().byte_len, kGrhBytes + 4096);
    EXPECT_TRUE(stage.to.holds(3, kGrhBytes, 4096));
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
    // More is refused at once, or by a completion.
    if (stage.left.send({stage.from.piece(0, 4097)}, stage.request(handle)) == 0) {
      EXPECT_NE(stage.left_queue.next().status, IBV_WC_SUCCESS);
    }
    EXPECT_TRUE(stage.right_queue.quiet());
  });
}

TEST_F(DatagramTest, HasNoOneSidedOperations) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address());
    Request request = stage.request(handle);
    for (ibv_wr_opcode opcode : {IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ}) {
      request.opcode = opcode;
      EXPECT_EQ(stage.left.send({stage.from.piece(0, 8)}, request), EINVAL) << opcode;
    }
  });
}

TEST_F(DatagramTest, AReceiveTooShortForTheHeaderIsALengthError) {
  with_stage([](Stage& stage) {
    Handle handle(stage.here, stage.right.address());
    ASSERT_EQ(stage.right.receive({stage.to.piece(0, kGrhBytes + 7)}), 0);
    ASSERT_EQ(stage.left.send({stage.from.piece(0, 8)}, stage.request(handle)), 0);
    EXPECT_EQ(stage.right_queue.next().status, IBV_WC_LOC_LEN_ERR);
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(DatagramTest, ManySendersFillOneReceiver) {
  cluster("connectx", 4);
  constexpr int kEach = 300;
  auto sender = [&](int me) {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    pair.connect();
    auto receiver = meeting().hear<Address>(0);
    Handle handle(here, receiver);
    Buffer buffer(here, 4096);
    for (int i = 0; i < kEach; ++i) {
      uint32_t words[] = {static_cast<uint32_t>(me), static_cast<uint32_t>(i)};
      memcpy(buffer.data(), words, sizeof words);
      ASSERT_EQ(pair.send({buffer.piece(0, sizeof words)},
                          {.handle = handle.get(), .number = receiver.number}),
                0);
      ASSERT_EQ(queue.next().status, IBV_WC_SUCCESS);
      if (i % 16 == 15) meeting().wait(10 + me * 20 + i / 16);
    }
    meeting().signal(100 + me);
  };
  // Each sender's datagrams come in order, and none is lost while receives are there.
  auto receiver = [&] {
    Program here;
    Queue queue(here, 512);
    Pair pair(here, queue, {.type = IBV_QPT_UD, .receives = 256});
    Buffer buffer(here, 256 * 64);
    pair.connect();
    for (uint64_t i = 0; i < 256; ++i) ASSERT_EQ(pair.receive({buffer.piece(i * 64, 64)}, i), 0);
    meeting().tell(0, pair.address());
    int seen[4] = {};
    for (int n = 0; n < 3 * kEach; ++n) {
      ibv_wc received = queue.next();
      ASSERT_EQ(received.status, IBV_WC_SUCCESS);
      uint32_t words[2];
      memcpy(words, buffer.data() + received.wr_id * 64 + kGrhBytes, sizeof words);
      ASSERT_LT(words[0], 4u);
      ASSERT_EQ(words[1], static_cast<uint32_t>(seen[words[0]]++)) << "from " << words[0];
      ASSERT_EQ(pair.receive({buffer.piece(received.wr_id * 64, 64)}, received.wr_id), 0);
      int count = seen[words[0]];
      if (count % 16 == 0) meeting().signal(10 + static_cast<int>(words[0]) * 20 + count / 16 - 1);
    }
    for (int me : {1, 2, 3}) meeting().wait(100 + me);
  };
  together({receiver, [&] { sender(1); }, [&] { sender(2); }, [&] { sender(3); }});
}

// -------------------------------------------------------------------------------------------------
// Multicast.

class MulticastTest : public DatagramTest {
 protected:
  static ibv_gid group(uint8_t last) {
    ibv_gid gid{};
    gid.raw[0] = 0xff;
    gid.raw[1] = 0x0e;
    gid.raw[15] = last;
    return gid;
  }
};

TEST_F(MulticastTest, ReachesItsMembersAndNobodyElse) {
  cluster("connectx");
  program([] {
    Program here;
    Queue queues[3] = {Queue(here), Queue(here), Queue(here)};
    Pair sender(here, queues[0], options()), member(here, queues[1], options()),
        stranger(here, queues[2], options());
    Buffer buffer(here, 8192);
    for (Pair* pair : {&sender, &member, &stranger}) pair->connect();
    ibv_gid club = group(1), other = group(2);
    ASSERT_EQ(ibv_attach_mcast(member.get(), &club, 0xc001), 0);
    ASSERT_EQ(ibv_attach_mcast(stranger.get(), &other, 0xc002), 0);
    ASSERT_EQ(member.receive({buffer.piece(0, 1024)}), 0);
    ASSERT_EQ(stranger.receive({buffer.piece(1024, 1024)}), 0);
    Handle handle(here, {.number = 0xffffff, .lid = 0xc001, .gid = club}, true);
    ASSERT_EQ(sender.send({buffer.piece(4096, 64)}, {.handle = handle.get(), .number = 0xffffff}),
              0);
    EXPECT_EQ(queues[1].next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(queues[0].next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(queues[2].quiet());
    ASSERT_EQ(ibv_detach_mcast(member.get(), &club, 0xc001), 0);
    EXPECT_EQ(ibv_detach_mcast(member.get(), &club, 0xc001), EINVAL) << "twice";
    ASSERT_EQ(member.receive({buffer.piece(0, 1024)}), 0);
    ASSERT_EQ(sender.send({buffer.piece(4096, 64)}, {.handle = handle.get(), .number = 0xffffff}),
              0);
    EXPECT_EQ(queues[0].next().status, IBV_WC_SUCCESS);
    EXPECT_TRUE(queues[1].quiet());
    ASSERT_EQ(ibv_detach_mcast(stranger.get(), &other, 0xc002), 0);
  });
}

TEST_F(MulticastTest, IsForDatagramsAndForGroups) {
  cluster("connectx");
  program([] {
    Program here;
    Queue queue(here);
    Pair connected(here, queue), datagrams(here, queue, options());
    ibv_gid club = group(1), unicast = here.gid(0);
    EXPECT_EQ(ibv_attach_mcast(connected.get(), &club, 0xc001), EINVAL);
    EXPECT_EQ(ibv_attach_mcast(datagrams.get(), &unicast, 1), EINVAL);
  });
}

}  // namespace
}  // namespace railyard::test
