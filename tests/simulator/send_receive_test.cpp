// SEND and RECV on connected queue pairs (InfiniBand specification, 9.4 to 9.9 and 10.7).
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class SendReceiveTest : public VerbsTest, public testing::WithParamInterface<ibv_qp_type> {
 protected:
  static bool reliable() { return GetParam() == IBV_QPT_RC; }
  static PairOptions options() { return {.type = GetParam()}; }

  // Runs the body with two queue pairs of one process that talk to each other.
  void with_pairs(PairOptions wanted, const std::function<void(Program&, LocalPair&)>& body,
                  const std::string& profile = "permissive") {
    wanted.type = GetParam();
    cluster(profile);
    program([&] {
      Program here;
      LocalPair pairs(here, wanted);
      body(here, pairs);
    });
  }
};

INSTANTIATE_TEST_SUITE_P(Transport, SendReceiveTest, testing::Values(IBV_QPT_RC, IBV_QPT_UC),
                         [](const auto& type) { return type.param == IBV_QPT_RC ? "RC" : "UC"; });

TEST_P(SendReceiveTest, AMessageArrives) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer from(here, 4096), to(here, 4096);
    from.fill(7, 0, 100);
    ASSERT_EQ(pairs.right.receive({to.all()}, 11), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 100)}, {.id = 22}), 0);

    ibv_wc received = pairs.right_queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.opcode, IBV_WC_RECV);
    EXPECT_EQ(received.wr_id, 11u);
    EXPECT_EQ(received.byte_len, 100u);
    EXPECT_EQ(received.qp_num, pairs.right.number());
    EXPECT_EQ(received.wc_flags & IBV_WC_WITH_IMM, 0u);
    EXPECT_TRUE(to.holds(7, 0, 100));
    EXPECT_EQ(to.data()[100], 0);

    ibv_wc sent = pairs.left_queue.next();
    EXPECT_EQ(sent.status, IBV_WC_SUCCESS);
    EXPECT_EQ(sent.opcode, IBV_WC_SEND);
    EXPECT_EQ(sent.wr_id, 22u);
    EXPECT_EQ(sent.qp_num, pairs.left.number());
    EXPECT_TRUE(pairs.left_queue.quiet());
    EXPECT_TRUE(pairs.right_queue.quiet());
  });
}

// The sizes at which a payload may begin to travel in another way.
TEST_P(SendReceiveTest, EverySizeArrives) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer from(here, 4 << 20), to(here, 4 << 20);
    for (size_t bytes : {0,
                         1,
                         7,
                         8,
                         23,
                         24,
                         25,
                         63,
                         64,
                         65,
                         127,
                         128,
                         255,
                         256,
                         257,
                         1023,
                         1024,
                         1025,
                         4095,
                         4096,
                         4097,
                         8191,
                         8192,
                         16384,
                         32767,
                         32768,
                         32769,
                         65535,
                         65536,
                         65537,
                         131072,
                         1 << 20,
                         (1 << 20) + 1,
                         (4 << 20) - 1,
                         4 << 20}) {
      SCOPED_TRACE(bytes);
      from.fill(bytes, 0, bytes);
      memset(to.data(), 0xee, std::min(to.bytes(), bytes + 1));
      ASSERT_EQ(pairs.right.receive({to.all()}), 0);
      ASSERT_EQ(pairs.left.send({from.piece(0, bytes)}), 0);
      ibv_wc received = pairs.right_queue.next();
      ASSERT_EQ(received.status, IBV_WC_SUCCESS);
      EXPECT_EQ(received.byte_len, bytes);
      EXPECT_TRUE(to.holds(bytes, 0, bytes));
      if (bytes < to.bytes()) {
        EXPECT_EQ(to.data()[bytes], 0xee);
      }
      EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    }
  });
}

TEST_P(SendReceiveTest, EverySizeArrivesInAnotherProcess) {
  cluster("permissive", 2);
  const std::vector<size_t> sizes = {1, 24, 64, 1000, 4096, 65536, 1 << 20, (3 << 20) + 5};
  auto body = [&](int me) {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, options());
    Buffer buffer(here, 4 << 20);
    if (me == 1) {
      pair.to_init();
      ASSERT_EQ(pair.receive({buffer.all()}), 0);
      Address peer = meeting().exchange(me, pair.address());
      ASSERT_EQ(pair.to_rtr(peer), 0);
      ASSERT_EQ(pair.to_rts(), 0);
    } else {
      pair.connect(meeting().exchange(me, pair.address()));
    }
    // One message out, one back: the sender's buffer is its receiver's reference.
    for (size_t bytes : sizes) {
      SCOPED_TRACE(bytes);
      if (me == 0) {
        buffer.fill(bytes, 0, bytes);
        ASSERT_EQ(pair.send({buffer.piece(0, bytes)}), 0);
        ASSERT_EQ(queue.next().status, IBV_WC_SUCCESS);
        memset(buffer.data(), 0, bytes);
        ASSERT_EQ(pair.receive({buffer.all()}), 0);
        ibv_wc received = queue.next();
        ASSERT_EQ(received.status, IBV_WC_SUCCESS);
        EXPECT_EQ(received.byte_len, bytes);
        EXPECT_TRUE(buffer.holds(bytes, 0, bytes));
      } else {
        ASSERT_EQ(queue.next().status, IBV_WC_SUCCESS);
        EXPECT_TRUE(buffer.holds(bytes, 0, bytes));
        ASSERT_EQ(pair.send({buffer.piece(0, bytes)}), 0);
        ASSERT_EQ(queue.next().status, IBV_WC_SUCCESS);
        memset(buffer.data(), 0, bytes);
        ASSERT_EQ(pair.receive({buffer.all()}), 0);
      }
    }
  };
  together({[&] { body(0); }, [&] { body(1); }});
}

TEST_P(SendReceiveTest, PiecesAreGatheredAndScattered) {
  with_pairs({.pieces = 4}, [](Program& here, LocalPair& pairs) {
    Buffer from(here, 1 << 20), to(here, 1 << 20);
    for (size_t unit : {size_t{1}, size_t{100}, size_t{5000}, size_t{100'000}}) {
      SCOPED_TRACE(unit);
      from.fill(3, 0, 6 * unit);
      // 1 + 2 + 0 + 3 units out of one buffer, into 2 + 1 + 3 units of the other, with a gap.
      ASSERT_EQ(pairs.right.receive({to.piece(0, 2 * unit), to.piece(2 * unit, unit),
                                     to.piece(4 * unit, 3 * unit)}),
                0);
      ASSERT_EQ(pairs.left.send({from.piece(0, unit), from.piece(unit, 2 * unit), from.piece(0, 0),
                                 from.piece(3 * unit, 3 * unit)}),
                0);
      ibv_wc received = pairs.right_queue.next();
      ASSERT_EQ(received.status, IBV_WC_SUCCESS);
      EXPECT_EQ(received.byte_len, 6 * unit);
      EXPECT_EQ(memcmp(to.data(), from.data(), 3 * unit), 0);
      EXPECT_EQ(memcmp(to.data() + 4 * unit, from.data() + 3 * unit, 3 * unit), 0);
      EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    }
  });
}

TEST_P(SendReceiveTest, NoPiecesAreAnEmptyMessage) {
  with_pairs({}, [](Program&, LocalPair& pairs) {
    ASSERT_EQ(pairs.right.receive({}, 5), 0);
    ASSERT_EQ(pairs.left.send({}), 0);
    ibv_wc received = pairs.right_queue.next();
    EXPECT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.wr_id, 5u);
    EXPECT_EQ(received.byte_len, 0u);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_P(SendReceiveTest, InlineDataIsTakenWhenItIsPosted) {
  with_pairs({.pieces = 2, .inline_bytes = 256}, [](Program& here, LocalPair& pairs) {
    Buffer to(here, 4096);
    // Memory that no region covers, as inline data may be.
    std::vector<uint8_t> from(200, 0x5a);
    ibv_sge pieces[] = {{reinterpret_cast<uint64_t>(from.data()), 150, 0},
                        {reinterpret_cast<uint64_t>(from.data() + 150), 50, 0}};
    ASSERT_EQ(pairs.left.send({pieces[0], pieces[1]}, {.flags = IBV_SEND_INLINE}), 0);
    std::fill(from.begin(), from.end(), uint8_t{0});
    ASSERT_EQ(pairs.right.receive({to.all()}), 0);
    ibv_wc received = pairs.right_queue.next();
    ASSERT_EQ(received.status, IBV_WC_SUCCESS);
    EXPECT_EQ(received.byte_len, 200u);
    for (int i = 0; i < 200; ++i) ASSERT_EQ(to.data()[i], 0x5a) << i;
    EXPECT_EQ(to.data()[200], 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_P(SendReceiveTest, MoreInlineDataThanGrantedIsRefused) {
  with_pairs({.inline_bytes = 64}, [](Program& here, LocalPair& pairs) {
    Buffer from(here, 1 << 20);
    size_t too_much = pairs.left.granted().max_inline_data + 1;
    EXPECT_NE(pairs.left.send({from.piece(0, too_much)}, {.flags = IBV_SEND_INLINE}), 0);
    EXPECT_TRUE(pairs.left_queue.quiet());
    EXPECT_EQ(pairs.left.state(), IBV_QPS_RTS);
  });
}

// Programs rely on it: rdma_xclient asks for no room and sends 16 bytes inline.
TEST_P(SendReceiveTest, InlineRoomComesUnaskedWhereTheDeviceHasIt) {
  auto body = [](Program& here, LocalPair& pairs) {
    uint32_t room = pairs.left.granted().max_inline_data;
    ASSERT_EQ(room, 60u);
    Buffer to(here, 4096);
    std::vector<uint8_t> from(room, uint8_t{0x5a});
    ASSERT_EQ(pairs.right.receive({to.all()}), 0);
    ibv_sge piece{reinterpret_cast<uint64_t>(from.data()), room, 0};
    ASSERT_EQ(pairs.left.send({piece}, {.flags = IBV_SEND_INLINE}), 0);
    std::fill(from.begin(), from.end(), uint8_t{0});
    EXPECT_EQ(pairs.right_queue.next().byte_len, room);
    EXPECT_TRUE(
        std::all_of(to.data(), to.data() + room, [](uint8_t byte) { return byte == 0x5a; }));
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
  };
  with_pairs({}, body, "connectx");
}

TEST_P(SendReceiveTest, InlineRoomHasToBeAskedForWhereItIsNot) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer from(here, 4096);
    EXPECT_EQ(pairs.left.send({from.piece(0, 1)}, {.flags = IBV_SEND_INLINE}), EINVAL);
  });
}

TEST_P(SendReceiveTest, AnUnsignaledSendCompletesInSilence) {
  with_pairs({.signal_all = false}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    for (uint64_t id = 0; id < 3; ++id) ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}, id), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(8, 8)}, {.id = 1}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(8, 8)}, {.id = 2, .flags = IBV_SEND_SIGNALED}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(8, 8)}, {.id = 3}), 0);
    for (uint64_t id = 0; id < 3; ++id) EXPECT_EQ(pairs.right_queue.next().wr_id, id);
    EXPECT_EQ(pairs.left_queue.next().wr_id, 2u);
    EXPECT_TRUE(pairs.left_queue.quiet());
  });
}

TEST_P(SendReceiveTest, UnsignaledSendsMakeRoomInTheQueueOnceALaterOneCompletes) {
  with_pairs({.sends = 8, .receives = 512, .signal_all = false},
             [](Program& here, LocalPair& pairs) {
               Buffer buffer(here, 4096);
               uint32_t depth = pairs.left.granted().max_send_wr;
               for (int round = 0; round < 4; ++round) {
                 for (uint32_t i = 0; i < depth; ++i) {
                   ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}), 0);
                   unsigned flags = i + 1 == depth ? unsigned{IBV_SEND_SIGNALED} : 0;
                   ASSERT_EQ(pairs.left.send({buffer.piece(8, 8)}, {.id = i, .flags = flags}), 0);
                 }
                 EXPECT_EQ(pairs.left_queue.next().wr_id, depth - 1);
                 pairs.right_queue.next(size_t{depth});
               }
             });
}

TEST_P(SendReceiveTest, ImmediateDataComesWithTheCompletion) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(8, 8)},
                              {.opcode = IBV_WR_SEND_WITH_IMM, .immediate = htonl(0x12345678)}),
              0);
    ibv_wc received = pairs.right_queue.next();
    EXPECT_EQ(received.opcode, IBV_WC_RECV);
    EXPECT_TRUE(received.wc_flags & IBV_WC_WITH_IMM);
    EXPECT_EQ(ntohl(received.imm_data), 0x12345678u);
    EXPECT_EQ(pairs.left_queue.next().opcode, IBV_WC_SEND);
  });
}

TEST_P(SendReceiveTest, MessagesMeetReceivesInOrder) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer from(here, 64 * 64), to(here, 64 * 64);
    for (uint64_t i = 0; i < 64; ++i) {
      ASSERT_EQ(pairs.right.receive({to.piece(64 * i, 64)}, i), 0);
    }
    for (uint64_t i = 0; i < 64; ++i) {
      from.fill(i, 64 * i, 64);
      ASSERT_EQ(pairs.left.send({from.piece(64 * i, 1 + i)}, {.id = 100 + i}), 0);
    }
    for (uint64_t i = 0; i < 64; ++i) {
      ibv_wc received = pairs.right_queue.next();
      EXPECT_EQ(received.wr_id, i);
      EXPECT_EQ(received.byte_len, 1 + i);
      EXPECT_TRUE(to.holds(i, 64 * i, 1 + i));
      EXPECT_EQ(pairs.left_queue.next().wr_id, 100 + i);
    }
  });
}

TEST_P(SendReceiveTest, ALongerMessageThanItsReceiveIsALengthError) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, 64)}, 1), 0);
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, 64)}, 2), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(1024, 65)}, {.id = 3}), 0);
    ibv_wc received = pairs.right_queue.next();
    EXPECT_EQ(received.wr_id, 1u);
    EXPECT_EQ(received.status, IBV_WC_LOC_LEN_ERR);
    ibv_wc flushed = pairs.right_queue.next();
    EXPECT_EQ(flushed.wr_id, 2u);
    EXPECT_EQ(flushed.status, IBV_WC_WR_FLUSH_ERR);
    EXPECT_EQ(pairs.right.state(), IBV_QPS_ERR);
    // Nobody tells the sender of an unreliable connection.
    EXPECT_EQ(pairs.left_queue.next().status, reliable() ? IBV_WC_REM_INV_REQ_ERR : IBV_WC_SUCCESS);
    EXPECT_EQ(pairs.left.state(), reliable() ? IBV_QPS_ERR : IBV_QPS_RTS);
  });
}

TEST_P(SendReceiveTest, AKeyThatIsNoneIsAProtectionError) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    ibv_sge piece = buffer.piece(0, 8);
    piece.lkey ^= 0x5555;
    ASSERT_EQ(pairs.left.send({piece}, {.id = 1}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}, {.id = 2}), 0);
    ibv_wc failed = pairs.left_queue.next();
    EXPECT_EQ(failed.wr_id, 1u);
    EXPECT_EQ(failed.status, IBV_WC_LOC_PROT_ERR);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_WR_FLUSH_ERR);
    EXPECT_EQ(pairs.left.state(), reliable() ? IBV_QPS_ERR : IBV_QPS_SQE);
  });
}

TEST_P(SendReceiveTest, BytesOutsideTheRegionAreAProtectionError) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    ibv_sge piece = buffer.piece(4090, 7);
    ASSERT_EQ(pairs.left.send({piece}), 0);
    EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_LOC_PROT_ERR);
  });
}

TEST_P(SendReceiveTest, AReceiveIntoMemoryThatMayNotBeWrittenIsAProtectionError) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer from(here, 4096), to(here, 4096, 0);
    ASSERT_EQ(pairs.right.receive({to.piece(0, 8)}), 0);
    ASSERT_EQ(pairs.left.send({from.piece(0, 8)}), 0);
    EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_LOC_PROT_ERR);
    EXPECT_EQ(pairs.left_queue.next().status, reliable() ? IBV_WC_REM_OP_ERR : IBV_WC_SUCCESS);
    EXPECT_EQ(to.data()[0], 0);
  });
}

TEST_P(SendReceiveTest, AnErrorFlushesWhatIsPostedInOrder) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    for (uint64_t id = 0; id < 5; ++id) ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}, id), 0);
    ASSERT_EQ(pairs.right.to(IBV_QPS_ERR), 0);
    for (uint64_t id = 0; id < 5; ++id) {
      ibv_wc flushed = pairs.right_queue.next();
      EXPECT_EQ(flushed.wr_id, id);
      EXPECT_EQ(flushed.status, IBV_WC_WR_FLUSH_ERR);
    }
    EXPECT_TRUE(pairs.right_queue.quiet());
  });
}

TEST_P(SendReceiveTest, AFullSendQueueRefuses) {
  // Nobody receives, and the device holds what it cannot deliver: nothing completes.
  with_pairs({.sends = 4}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    uint32_t depth = pairs.left.granted().max_send_wr;
    for (uint32_t i = 0; i < depth; ++i) ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0) << i;
    EXPECT_EQ(pairs.left.send({buffer.piece(0, 8)}), ENOMEM);
    EXPECT_EQ(pairs.left.state(), IBV_QPS_RTS);
    for (uint32_t i = 0; i < depth; ++i) ASSERT_EQ(pairs.right.receive({buffer.piece(8, 8)}), 0);
    for (uint32_t i = 0; i < depth; ++i) {
      EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
    }
    EXPECT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
  });
}

TEST_P(SendReceiveTest, AFullReceiveQueueRefuses) {
  with_pairs({.receives = 4}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    uint32_t depth = pairs.right.granted().max_recv_wr;
    for (uint32_t i = 0; i < depth; ++i) ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}), 0);
    EXPECT_EQ(pairs.right.receive({buffer.piece(0, 8)}), ENOMEM);
  });
}

TEST_P(SendReceiveTest, AChainStopsAtItsFirstBadRequest) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    ibv_sge piece = buffer.piece(0, 8);
    ibv_send_wr chain[3] = {}, *bad = nullptr;
    for (int i = 0; i < 3; ++i) {
      chain[i].wr_id = static_cast<uint64_t>(i);
      chain[i].next = i < 2 ? &chain[i + 1] : nullptr;
      chain[i].sg_list = &piece;
      chain[i].num_sge = 1;
      chain[i].opcode = IBV_WR_SEND;
    }
    chain[1].num_sge = 1000;
    for (int i = 0; i < 3; ++i) ASSERT_EQ(pairs.right.receive({buffer.piece(8, 8)}), 0);
    EXPECT_EQ(ibv_post_send(pairs.left.get(), chain, &bad), EINVAL);
    EXPECT_EQ(bad, &chain[1]);
    EXPECT_EQ(pairs.left_queue.next().wr_id, 0u);
    EXPECT_TRUE(pairs.left_queue.quiet());
    EXPECT_EQ(pairs.left.state(), IBV_QPS_RTS);
  });
}

TEST_P(SendReceiveTest, AnOperationThatIsNoneIsRefused) {
  with_pairs({}, [](Program& here, LocalPair& pairs) {
    Buffer buffer(here, 4096);
    EXPECT_EQ(pairs.left.send({buffer.piece(0, 8)}, {.opcode = IBV_WR_DRIVER1}), EINVAL);
  });
}

TEST_P(SendReceiveTest, ADestroyedPeerIsSilence) {
  cluster("connectx");
  program([&] {
    Program here;
    Queue queue(here), other(here);
    Buffer buffer(here, 4096);
    PairOptions wanted = options();
    wanted.timeout = 8;
    wanted.retries = 1;
    Pair left(here, queue, wanted);
    {
      Pair right(here, other, wanted);
      right.connect(left.address());
      left.connect(right.address());
    }
    ASSERT_EQ(left.send({buffer.piece(0, 8)}), 0);
    EXPECT_EQ(queue.next().status, reliable() ? IBV_WC_RETRY_EXC_ERR : IBV_WC_SUCCESS);
  });
}

TEST_P(SendReceiveTest, ManyMessagesBothWaysBetweenTwoProcesses) {
  cluster("permissive", 2);
  constexpr uint64_t kMessages = 5000, kWindow = 16, kBytes = 512;
  auto body = [&](int me) {
    Program here;
    Queue sends(here), receives(here);
    Pair pair(here, sends, receives, options());
    Buffer out(here, kWindow * kBytes), in(here, kWindow * kBytes);
    ASSERT_EQ(pair.to_init(), 0);
    for (uint64_t i = 0; i < kWindow; ++i) {
      ASSERT_EQ(pair.receive({in.piece(i * kBytes, kBytes)}, i), 0);
    }
    Address peer = meeting().exchange(me, pair.address());
    ASSERT_EQ(pair.to_rtr(peer), 0);
    ASSERT_EQ(pair.to_rts(), 0);
    meeting().signal(2 + me);
    meeting().wait(3 - me);
    uint64_t sent = 0, received = 0, completed = 0;
    auto post = [&] {
      uint64_t place = sent % kWindow;
      out.fill(sent, place * kBytes, kBytes);
      ASSERT_EQ(pair.send({out.piece(place * kBytes, kBytes)}, {.id = sent}), 0);
      ++sent;
    };
    // A message may go when the peer's answer to the one a window before has come.
    while (received < kMessages || completed < kMessages) {
      while (sent < kMessages && sent < received + kWindow / 2 && sent < completed + kWindow)
        post();
      ibv_wc completion;
      while (ibv_poll_cq(receives.get(), 1, &completion) == 1) {
        ASSERT_EQ(completion.status, IBV_WC_SUCCESS);
        uint64_t place = received % kWindow;
        ASSERT_EQ(completion.wr_id, place);
        ASSERT_TRUE(in.holds(received, place * kBytes, kBytes)) << "message " << received;
        ++received;
        ASSERT_EQ(pair.receive({in.piece(place * kBytes, kBytes)}, place), 0);
      }
      while (ibv_poll_cq(sends.get(), 1, &completion) == 1) {
        ASSERT_EQ(completion.status, IBV_WC_SUCCESS);
        ASSERT_EQ(completion.wr_id, completed);
        ++completed;
      }
    }
    meeting().signal(4 + me);
    meeting().wait(5 - me);
  };
  together({[&] { body(0); }, [&] { body(1); }});
}

TEST_P(SendReceiveTest, TwoThreadsSendOnQueuePairsOfTheirOwn) {
  cluster("permissive");
  program([&] {
    Program here;
    auto talk = [&](uint64_t seed) {
      LocalPair pairs(here, options());
      Buffer from(here, 4096), to(here, 4096);
      for (uint64_t i = 0; i < 500; ++i) {
        from.fill(seed + i, 0, 256);
        ASSERT_EQ(pairs.right.receive({to.piece(0, 256)}), 0);
        ASSERT_EQ(pairs.left.send({from.piece(0, 256)}), 0);
        ASSERT_EQ(pairs.right_queue.next().status, IBV_WC_SUCCESS);
        ASSERT_TRUE(to.holds(seed + i, 0, 256));
        ASSERT_EQ(pairs.left_queue.next().status, IBV_WC_SUCCESS);
      }
    };
    std::thread other(talk, 1000);
    talk(5000);
    other.join();
  });
}

}  // namespace
}  // namespace railyard::test
