// Every way to name memory wrongly, on every operation: the status that it gives, on which side, and the states that
// both queue pairs are in afterwards (InfiniBand specification 9.9.2 to 9.9.4, 10.6, 10.7.2.2).
#include <gtest/gtest.h>
#include <poll.h>

#include <string>
#include <vector>

#include "verbs_test.h"

namespace railyard::test {
namespace {

constexpr size_t kBytes = 4096;

// What is wrong.
enum class Wrong { key, beyond, before, foreign, right, pair };
// With which memory: that of the request, that which the request names at the other end, that of the receive it meets.
enum class Where { own, remote, receive };

struct Violation {
  ibv_qp_type type;
  ibv_wr_opcode opcode;
  Where where;
  Wrong wrong;
};

bool reliable(const Violation& violation) { return violation.type == IBV_QPT_RC; }
bool answered(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_RDMA_READ || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

std::string name_of(const Violation& violation) {
  static const char* const kWhere[] = {"Own", "Remote", "Receive"};
  static const char* const kWrong[] = {"NoSuchKey",    "BeyondTheEnd", "BeforeTheBeginning",
                                       "AnotherDomain", "WithoutRight", "ForbiddenByTheQueuePair"};
  std::string name = violation.type == IBV_QPT_RC ? "RC" : "UC";
  switch (violation.opcode) {
    case IBV_WR_SEND: name += "Send"; break;
    case IBV_WR_RDMA_WRITE: name += "Write"; break;
    case IBV_WR_RDMA_WRITE_WITH_IMM: name += "WriteWithImmediate"; break;
    case IBV_WR_RDMA_READ: name += "Read"; break;
    default: name += "Atomic";
  }
  return name + kWhere[static_cast<int>(violation.where)] + kWrong[static_cast<int>(violation.wrong)];
}

std::vector<Violation> all_violations() {
  std::vector<Violation> all;
  for (ibv_qp_type type : {IBV_QPT_RC, IBV_QPT_UC}) {
    for (ibv_wr_opcode opcode : {IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_READ,
                                 IBV_WR_ATOMIC_FETCH_AND_ADD}) {
      if (type == IBV_QPT_UC && answered(opcode)) continue;
      for (Wrong wrong : {Wrong::key, Wrong::beyond, Wrong::before, Wrong::foreign}) {
        all.push_back({type, opcode, Where::own, wrong});
        all.push_back({type, opcode, opcode == IBV_WR_SEND ? Where::receive : Where::remote, wrong});
      }
      // Memory that is only read needs no right.
      if (answered(opcode)) all.push_back({type, opcode, Where::own, Wrong::right});
      all.push_back({type, opcode, opcode == IBV_WR_SEND ? Where::receive : Where::remote, Wrong::right});
      if (opcode != IBV_WR_SEND) all.push_back({type, opcode, Where::remote, Wrong::pair});
    }
  }
  return all;
}

class ProtectionTest : public VerbsTest, public testing::WithParamInterface<Violation> {
 protected:
  static constexpr int kEverything = Buffer::kAllAccess | IBV_ACCESS_REMOTE_ATOMIC;

  // Two queue pairs of one process, and memory of which some is wrong.
  struct Stage {
    Program here;
    LocalPair pairs;
    Buffer good{here, kBytes, kEverything}, readable{here, kBytes, 0}, target{here, kBytes, kEverything};
    ibv_pd* other = ibv_alloc_pd(here.context);
    ibv_mr* foreign = ibv_reg_mr(other, target.data(), kBytes, kEverything);
    explicit Stage(const Violation& violation)
        : pairs(here, {.type = violation.type,
                       .access = violation.wrong == Wrong::pair ? unsigned{IBV_ACCESS_LOCAL_WRITE} : kEverything}) {}
    ~Stage() {
      ibv_dereg_mr(foreign);
      ibv_dealloc_pd(other);
    }

    // Eight bytes of `of`, or what is wrong with them.
    ibv_sge piece(Buffer& of, bool spoil, Wrong wrong) {
      ibv_sge out = of.piece(0, 8);
      if (!spoil) return out;
      switch (wrong) {
        case Wrong::key: out.lkey ^= 0x5555; break;
        case Wrong::beyond: out.addr += kBytes - 7; break;
        case Wrong::before: out.addr -= 1; break;
        case Wrong::foreign: out = {reinterpret_cast<uintptr_t>(foreign->addr), 8, foreign->lkey}; break;
        case Wrong::right: out = readable.piece(0, 8); break;
        case Wrong::pair: break;
      }
      return out;
    }
  };
};

INSTANTIATE_TEST_SUITE_P(Of, ProtectionTest, testing::ValuesIn(all_violations()),
                         [](const auto& each) { return name_of(each.param); });

TEST_P(ProtectionTest, IsEnforced) {
  cluster("connectx");
  program([] {
    const Violation& violation = GetParam();
    Stage stage(violation);
    LocalPair& pairs = stage.pairs;
    stage.target.fill(1);
    auto spoilt = [&](Where where, Buffer& of) { return stage.piece(of, violation.where == where, violation.wrong); };
    ASSERT_EQ(pairs.right.receive({spoilt(Where::receive, stage.target)}, 7), 0);
    ibv_sge there = spoilt(Where::remote, stage.target);
    Request request{.opcode = violation.opcode, .to = {there.addr, there.lkey}};
    ASSERT_EQ(pairs.left.send({spoilt(Where::own, stage.good)}, request), 0);

    // The requester.
    ibv_wc sent = pairs.left_queue.next();
    ibv_qp_state left = IBV_QPS_ERR, right = IBV_QPS_RTS;
    if (violation.where == Where::own) {
      EXPECT_EQ(sent.status, IBV_WC_LOC_PROT_ERR);
      left = reliable(violation) ? IBV_QPS_ERR : IBV_QPS_SQE;
    } else if (!reliable(violation)) {
      EXPECT_EQ(sent.status, IBV_WC_SUCCESS) << "nobody tells an unreliable requester";
      left = IBV_QPS_RTS;
    } else {
      EXPECT_EQ(sent.status, violation.where == Where::remote ? IBV_WC_REM_ACCESS_ERR : IBV_WC_REM_OP_ERR);
    }
    EXPECT_EQ(pairs.left.state(), left);

    // The responder: its receive is filled in error, flushed, or waits on.
    pollfd events{stage.here.context->async_fd, POLLIN, 0};
    bool tells = violation.where == Where::remote && reliable(violation);
    if (violation.where == Where::receive) {
      EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_LOC_PROT_ERR);
      right = IBV_QPS_ERR;
    } else if (tells) {
      EXPECT_EQ(pairs.right_queue.next().status, IBV_WC_WR_FLUSH_ERR);
      right = IBV_QPS_ERR;
    } else {
      EXPECT_TRUE(pairs.right_queue.quiet(Milliseconds(5)));
    }
    EXPECT_EQ(pairs.right.state(), right);
    ASSERT_EQ(::poll(&events, 1, 0), tells ? 1 : 0);
    if (tells) {
      ibv_async_event event{};
      ASSERT_EQ(ibv_get_async_event(stage.here.context, &event), 0);
      EXPECT_EQ(event.event_type, IBV_EVENT_QP_ACCESS_ERR);
      EXPECT_EQ(event.element.qp, pairs.right.get());
      ibv_ack_async_event(&event);
    }
    EXPECT_TRUE(stage.target.holds(1)) << "nothing was written";
  });
}

}  // namespace
}  // namespace railyard::test
