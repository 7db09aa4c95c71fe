// The extended verbs: polling through ibv_cq_ex, posting through ibv_qp_ex, and what callers of the
// headers' inline functions take for granted (ibv_create_cq_ex(3), ibv_wr_post(3)).
#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "verbs_test.h"

namespace railyard::test {
namespace {

class ExtendedVerbsTest : public VerbsTest {
 protected:
  void with_program(const std::function<void(Program&)>& body) {
    cluster("connectx");
    program([&] {
      Program here;
      body(here);
    });
  }

  // A completion queue to poll in the extended way.
  static ibv_cq_ex* create_queue(Program& here, uint64_t flags) {
    ibv_cq_init_attr_ex wanted{};
    wanted.cqe = 64;
    wanted.wc_flags = flags;
    return ibv_create_cq_ex(here.context, &wanted);
  }

  // A sender in the extended way and an ordinary receiver.
  struct Stage {
    Program here;
    Queue left_queue{here}, right_queue{here};
    Pair right{here, right_queue, {.pieces = 4}};
    Buffer from{here, 8192, Buffer::kAllAccess}, to{here, 8192, Buffer::kAllAccess};
    ibv_qp* left = create();
    ibv_qp_ex* sender = ibv_qp_to_qp_ex(left);

    Stage() {
      Pair pattern(here, left_queue);
      for (ibv_qp_state state : {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS}) {
        ibv_qp_attr attributes = pattern.attributes(state, right.address());
        EXPECT_EQ(ibv_modify_qp(left, &attributes, pattern.mask(state)), 0);
      }
      Address peer = right.address();
      peer.number = left->qp_num;
      right.connect(peer);
    }
    ~Stage() { EXPECT_EQ(ibv_destroy_qp(left), 0); }
    bool ready() const { return left && sender; }

   private:
    ibv_qp* create() {
      ibv_qp_init_attr_ex wanted{};
      wanted.qp_type = IBV_QPT_RC;
      wanted.send_cq = wanted.recv_cq = left_queue.get();
      wanted.cap = {8, 8, 4, 4, 128};
      wanted.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
      wanted.pd = here.domain;
      wanted.send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM |
                              IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM |
                              IBV_QP_EX_WITH_RDMA_READ;
      return ibv_create_qp_ex(here.context, &wanted);
    }
  };

  void with_stage(const std::function<void(Stage&)>& body) {
    cluster("connectx");
    program([&] {
      Stage stage;
      ASSERT_TRUE(stage.ready());
      body(stage);
    });
  }
};

TEST_F(ExtendedVerbsTest, AContextIsAnExtendedOne) {
  with_program([](Program& here) {
    EXPECT_EQ(here.context->abi_compat, reinterpret_cast<void*>(-1));
    verbs_context* extended = verbs_get_ctx(here.context);
    ASSERT_NE(extended, nullptr);
    EXPECT_EQ(extended->sz, sizeof *extended);
    EXPECT_GE(here.context->num_comp_vectors, 1);
    EXPECT_GE(here.context->cmd_fd, 0);
    EXPECT_GE(here.context->async_fd, 0);
  });
}

// The headers call these without looking.
TEST_F(ExtendedVerbsTest, OperationsThatNobodyChecksAreThere) {
  with_program([](Program& here) {
    const ibv_context_ops& operations = here.context->ops;
    EXPECT_NE(operations.poll_cq, nullptr);
    EXPECT_NE(operations.req_notify_cq, nullptr);
    EXPECT_NE(operations.post_send, nullptr);
    EXPECT_NE(operations.post_recv, nullptr);
    EXPECT_NE(operations.post_srq_recv, nullptr);
    EXPECT_NE(operations.bind_mw, nullptr);
    EXPECT_NE(operations.dealloc_mw, nullptr);
    EXPECT_NE(verbs_get_ctx(here.context)->close_xrcd, nullptr);
  });
}

TEST_F(ExtendedVerbsTest, WhatNoDeviceOffersIsRefused) {
  with_program([](Program& here) {
    auto refused = [](const void* object) { return object == nullptr && errno == EOPNOTSUPP; };
    ibv_alloc_dm_attr memory{};
    memory.length = 64;
    EXPECT_TRUE(refused(ibv_alloc_dm(here.context, &memory)));
    ibv_wq_init_attr work_queue{};
    EXPECT_TRUE(refused(ibv_create_wq(here.context, &work_queue)));
    ibv_td_init_attr thread_domain{};
    EXPECT_TRUE(refused(ibv_alloc_td(here.context, &thread_domain)));
    EXPECT_TRUE(refused(ibv_import_pd(here.context, 1)));
    EXPECT_TRUE(refused(ibv_reg_dmabuf_mr(here.domain, 0, 4096, 0, 0, 0)));
    ibv_ece options{};
    Queue queue(here);
    Pair pair(here, queue);
    EXPECT_EQ(ibv_query_ece(pair.get(), &options), EOPNOTSUPP);
  });
}

// ibv_create_qp_ex(3): who asks for kinds of request that the device cannot build is told at once.
TEST_F(ExtendedVerbsTest, RequestsThatTheDeviceCannotBuildAreRefused) {
  with_program([](Program& here) {
    Queue queue(here);
    for (uint64_t operations :
         {IBV_QP_EX_WITH_TSO, IBV_QP_EX_WITH_ATOMIC_WRITE, IBV_QP_EX_WITH_RDMA_READ}) {
      ibv_qp_init_attr_ex wanted{};
      wanted.qp_type = IBV_QPT_UC;  // which has no READ
      wanted.send_cq = wanted.recv_cq = queue.get();
      wanted.cap = {8, 8, 1, 1, 0};
      wanted.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
      wanted.pd = here.domain;
      wanted.send_ops_flags = operations | IBV_QP_EX_WITH_SEND;
      EXPECT_EQ(ibv_create_qp_ex(here.context, &wanted), nullptr) << operations;
      EXPECT_EQ(errno, EOPNOTSUPP) << operations;
    }
  });
}

TEST_F(ExtendedVerbsTest, TheDevicesExtendedAttributesBeginWithTheOrdinaryOnes) {
  with_program([](Program& here) {
    ibv_device_attr_ex extended{};
    ASSERT_EQ(ibv_query_device_ex(here.context, nullptr, &extended), 0);
    ibv_device_attr ordinary = here.device_attributes();
    EXPECT_EQ(extended.orig_attr.max_qp, ordinary.max_qp);
    EXPECT_EQ(extended.orig_attr.max_cqe, ordinary.max_cqe);
    EXPECT_EQ(extended.orig_attr.node_guid, ordinary.node_guid);
  });
}

// Programs of before 2019 give ibv_query_port() a structure of 48 bytes.
TEST_F(ExtendedVerbsTest, TheOldQueryOfAPortWritesNoMoreThanItsCallersKnow) {
  with_program([](Program& here) {
    void* symbol = dlsym(RTLD_DEFAULT, "ibv_query_port");
    ASSERT_NE(symbol, nullptr);
    auto* query = reinterpret_cast<int (*)(ibv_context*, uint8_t, void*)>(symbol);
    unsigned char memory[64];
    memset(memory, 0x5a, sizeof memory);
    ASSERT_EQ(query(here.context, 1, memory), 0);
    for (size_t i = 48; i < sizeof memory; ++i) EXPECT_EQ(memory[i], 0x5a) << i;
  });
}

TEST_F(ExtendedVerbsTest, GidsAreListedWithTheirTypes) {
  cluster("apple-thunderbolt5", 2);
  program([] {
    Program here;
    ibv_gid_entry entries[8];
    ssize_t count = ibv_query_gid_table(here.context, entries, 8, 0);
    ASSERT_EQ(count, 2);
    EXPECT_EQ(entries[0].gid_index, 0u);
    EXPECT_EQ(entries[1].gid_index, 1u);
    EXPECT_EQ(entries[1].port_num, 1u);
    ibv_gid expected = here.gid(1);
    EXPECT_EQ(memcmp(&entries[1].gid, &expected, sizeof expected), 0);
    ibv_gid_entry one{};
    EXPECT_EQ(ibv_query_gid_ex(here.context, 1, 1, &one, 0), 0);
    EXPECT_EQ(memcmp(&one.gid, &expected, sizeof expected), 0);
    EXPECT_NE(ibv_query_gid_ex(here.context, 1, 200, &one, 0), 0);
  });
}

// -------------------------------------------------------------------------------------------------
// Polling.

TEST_F(ExtendedVerbsTest, AnEmptyQueueHasNothingToPoll) {
  with_program([](Program& here) {
    ibv_cq_ex* queue = create_queue(here, IBV_WC_STANDARD_FLAGS);
    ASSERT_NE(queue, nullptr);
    ibv_poll_cq_attr attributes{};
    EXPECT_EQ(ibv_start_poll(queue, &attributes), ENOENT);
    EXPECT_EQ(ibv_destroy_cq(ibv_cq_ex_to_cq(queue)), 0);
  });
}

TEST_F(ExtendedVerbsTest, APollWalksThroughTheCompletions) {
  with_program([](Program& here) {
    ibv_cq_ex* receives =
        create_queue(here, IBV_WC_EX_WITH_BYTE_LEN | IBV_WC_EX_WITH_IMM | IBV_WC_EX_WITH_QP_NUM |
                               IBV_WC_EX_WITH_COMPLETION_TIMESTAMP);
    ASSERT_NE(receives, nullptr);
    {
      Queue sends(here);
      Pair left(here, sends);
      ibv_qp_init_attr wanted{};
      wanted.send_cq = sends.get();
      wanted.recv_cq = ibv_cq_ex_to_cq(receives);
      wanted.qp_type = IBV_QPT_RC;
      wanted.cap = {8, 8, 1, 1, 0};
      ibv_qp* right = ibv_create_qp(here.domain, &wanted);
      ASSERT_NE(right, nullptr);
      Address target = left.address();
      target.number = right->qp_num;
      left.connect(target);
      for (ibv_qp_state state : {IBV_QPS_INIT, IBV_QPS_RTR, IBV_QPS_RTS}) {
        ibv_qp_attr attributes = left.attributes(state, left.address());
        ASSERT_EQ(ibv_modify_qp(right, &attributes, left.mask(state)), 0);
      }
      Buffer buffer(here, 4096);
      ibv_sge piece = buffer.piece(0, 256);
      for (uint64_t id : {1, 2, 3}) {
        ibv_recv_wr receive{.wr_id = id, .next = nullptr, .sg_list = &piece, .num_sge = 1};
        ibv_recv_wr* bad = nullptr;
        ASSERT_EQ(ibv_post_recv(right, &receive, &bad), 0);
        ASSERT_EQ(left.send({buffer.piece(1024, id)},
                            {.opcode = IBV_WR_SEND_WITH_IMM,
                             .immediate = htonl(static_cast<uint32_t>(100 + id))}),
                  0);
      }
      for (const ibv_wc& sent : sends.next(3)) ASSERT_EQ(sent.status, IBV_WC_SUCCESS);
      ibv_poll_cq_attr attributes{};
      ASSERT_EQ(ibv_start_poll(receives, &attributes), 0);
      uint64_t before = 0;
      for (uint64_t id : {1, 2, 3}) {
        if (id > 1) {
          ASSERT_EQ(ibv_next_poll(receives), 0);
        }
        EXPECT_EQ(receives->wr_id, id);
        EXPECT_EQ(receives->status, IBV_WC_SUCCESS);
        EXPECT_EQ(ibv_wc_read_opcode(receives), IBV_WC_RECV);
        EXPECT_EQ(ibv_wc_read_byte_len(receives), id);
        EXPECT_EQ(ntohl(ibv_wc_read_imm_data(receives)), 100 + id);
        EXPECT_EQ(ibv_wc_read_qp_num(receives), right->qp_num);
        EXPECT_TRUE(ibv_wc_read_wc_flags(receives) & IBV_WC_WITH_IMM);
        uint64_t now = ibv_wc_read_completion_ts(receives);
        EXPECT_GE(now, before);
        before = now;
      }
      EXPECT_EQ(ibv_next_poll(receives), ENOENT);
      ibv_end_poll(receives);
      EXPECT_EQ(ibv_start_poll(receives, &attributes), ENOENT);
      EXPECT_EQ(ibv_destroy_qp(right), 0);
    }
    EXPECT_EQ(ibv_destroy_cq(ibv_cq_ex_to_cq(receives)), 0);
  });
}

// -------------------------------------------------------------------------------------------------
// Posting.

TEST_F(ExtendedVerbsTest, OrdinaryQueuePairsHaveNoExtendedFace) {
  with_program([](Program& here) {
    Queue queue(here);
    Pair pair(here, queue);
    EXPECT_EQ(ibv_qp_to_qp_ex(pair.get()), nullptr);
  });
}

TEST_F(ExtendedVerbsTest, RequestsOfABatchGoTogether) {
  with_stage([](Stage& stage) {
    for (uint64_t id : {1, 2, 3}) ASSERT_EQ(stage.right.receive({stage.to.all()}, id), 0);
    stage.from.fill(1);
    ibv_wr_start(stage.sender);
    for (uint64_t id : {1, 2, 3}) {
      stage.sender->wr_id = id;
      stage.sender->wr_flags = IBV_SEND_SIGNALED;
      ibv_wr_send(stage.sender);
      ibv_wr_set_sge(stage.sender, stage.from.region()->lkey,
                     reinterpret_cast<uint64_t>(stage.from.data()),
                     static_cast<uint32_t>(100 * id));
    }
    EXPECT_TRUE(stage.right_queue.quiet()) << "nothing goes before it is complete";
    ASSERT_EQ(ibv_wr_complete(stage.sender), 0);
    for (uint64_t id : {1, 2, 3}) {
      EXPECT_EQ(stage.right_queue.next().byte_len, 100 * id);
      EXPECT_EQ(stage.left_queue.next().wr_id, id);
    }
  });
}

TEST_F(ExtendedVerbsTest, AnAbortedBatchNeverWas) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
    ibv_wr_start(stage.sender);
    ibv_wr_send(stage.sender);
    ibv_wr_set_sge(stage.sender, stage.from.region()->lkey,
                   reinterpret_cast<uint64_t>(stage.from.data()), 8);
    ibv_wr_abort(stage.sender);
    EXPECT_TRUE(stage.right_queue.quiet());
    EXPECT_TRUE(stage.left_queue.quiet());
  });
}

TEST_F(ExtendedVerbsTest, ABatchThatDoesNotFitIsRefusedAsAWhole) {
  with_stage([](Stage& stage) {
    ibv_wr_start(stage.sender);
    for (int i = 0; i < 5000; ++i) {
      ibv_wr_send(stage.sender);
      ibv_wr_set_sge(stage.sender, stage.from.region()->lkey,
                     reinterpret_cast<uint64_t>(stage.from.data()), 8);
    }
    EXPECT_EQ(ibv_wr_complete(stage.sender), ENOMEM);
    ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
    EXPECT_TRUE(stage.right_queue.quiet());
  });
}

TEST_F(ExtendedVerbsTest, InlineDataIsGatheredFromItsList) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(stage.right.receive({stage.to.all()}), 0);
    char first[] = "one ", second[] = "and two";
    ibv_data_buf list[] = {{first, 4}, {second, 7}};
    ibv_wr_start(stage.sender);
    stage.sender->wr_flags = IBV_SEND_SIGNALED;
    ibv_wr_send(stage.sender);
    ibv_wr_set_inline_data_list(stage.sender, 2, list);
    memset(first, 0, sizeof first);
    ASSERT_EQ(ibv_wr_complete(stage.sender), 0);
    EXPECT_EQ(stage.right_queue.next().byte_len, 11u);
    EXPECT_EQ(memcmp(stage.to.data(), "one and two", 11), 0);
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(ExtendedVerbsTest, ARequestNamesWhereItWritesAndReads) {
  with_stage([](Stage& stage) {
    Window there = stage.to.window();
    stage.from.fill(5, 0, 64);
    auto address = reinterpret_cast<uint64_t>(stage.from.data());
    ibv_wr_start(stage.sender);
    stage.sender->wr_flags = IBV_SEND_SIGNALED;
    ibv_wr_rdma_write(stage.sender, there.key, there.address);
    ibv_wr_set_sge(stage.sender, stage.from.region()->lkey, address, 64);
    ibv_wr_rdma_read(stage.sender, there.key, there.address);
    ibv_wr_set_sge(stage.sender, stage.from.region()->lkey, address + 4096, 64);
    ASSERT_EQ(ibv_wr_complete(stage.sender), 0);
    EXPECT_EQ(stage.left_queue.next().opcode, IBV_WC_RDMA_WRITE);
    EXPECT_EQ(stage.left_queue.next().opcode, IBV_WC_RDMA_READ);
    EXPECT_TRUE(stage.to.holds(5, 0, 64));
    EXPECT_TRUE(stage.from.holds(5, 4096, 64));
  });
}

}  // namespace
}  // namespace railyard::test
