// The model is told stories that are right, and some that are not.
#include "model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace railyard::fuzz {
namespace {

class ModelTest : public testing::Test {
 protected:
  void connect(const std::string& profile, ibv_qp_type type) {
    plan_.profile = profile;
    plan_.ranks = 2;
    ConnectionPlan connection{type, {}};
    for (int side : {0, 1})
      connection.ends[side] = {side, 4, 4, true, true, false, false, 7, 0, false, false};
    plan_.connections = {connection};
    model_.emplace(plan_);
    for (int side : {0, 1}) {
      EndInfo info{};
      info.number = 100 + static_cast<uint32_t>(side);
      info.granted = {4, 4, 1, 1, 0};
      model_->created(0, side, info);
    }
    model_->connected(0, 1);
  }

  static Step step(Act act, int side, uint32_t bytes) {
    Step out{};
    out.act = act;
    out.side = side;
    out.opcode = IBV_WR_SEND;
    out.pieces = 1;
    out.sizes[0] = bytes;
    out.seed = 5;
    return out;
  }
  void send(uint64_t id, Key key = Key::good, int result = 0) {
    Step it = step(Act::send, 0, 8);
    it.local = key;
    model_->posted_send(it, id, result);
  }
  void receive(uint64_t id, uint32_t bytes = 8) {
    model_->posted_receive(step(Act::receive, 1, bytes), id, 0);
  }

  void sent(uint64_t id, ibv_wc_status status = IBV_WC_SUCCESS) {
    model_->saw_completion({id, status, IBV_WC_SEND, 8, 0, 0, 100, kDigestStart, true});
  }
  void received(uint64_t id, ibv_wc_status status = IBV_WC_SUCCESS, uint64_t seed = 5) {
    model_->saw_completion(
        {id, status, IBV_WC_RECV, 8, 0, 0, 101, digest_of_pattern(seed, 8), true});
  }

  Plan plan_;
  std::optional<Model> model_;
};

TEST_F(ModelTest, AMessageAndItsReceive) {
  connect("connectx", IBV_QPT_RC);
  receive(1);
  send(2);
  EXPECT_THAT(model_->awaited(0), testing::HasSubstr("send 2"));
  received(1);
  sent(2);
  EXPECT_EQ(model_->awaited(0), "");
}

TEST_F(ModelTest, ACompletionComesOnce) {
  connect("connectx", IBV_QPT_RC);
  receive(1);
  send(2);
  sent(2);
  EXPECT_THROW(sent(2), Violation);
}

TEST_F(ModelTest, CompletionsComeInOrder) {
  connect("connectx", IBV_QPT_RC);
  receive(1);
  receive(2);
  send(3);
  send(4);
  EXPECT_THROW(received(2), Violation);
  EXPECT_THROW(sent(4), Violation);
}

TEST_F(ModelTest, OtherBytesAreAViolation) {
  connect("connectx", IBV_QPT_RC);
  receive(1);
  send(2);
  EXPECT_THROW(received(1, IBV_WC_SUCCESS, 6), Violation);
}

TEST_F(ModelTest, AReliableMessageWaitsForItsReceive) {
  connect("connectx", IBV_QPT_RC);
  send(1);
  EXPECT_EQ(model_->awaited(0), "");
  EXPECT_THROW(sent(1), Violation);
  receive(2);
  EXPECT_NE(model_->awaited(0), "");
}

TEST_F(ModelTest, AnUnreliableOneIsDroppedOrHeldAsTheProfileSays) {
  connect("connectx", IBV_QPT_UC);
  send(1);
  receive(2);
  sent(1);
  EXPECT_THROW(received(2), Violation);
  connect("permissive", IBV_QPT_UC);
  send(1);
  receive(2);
  received(2);
  sent(1);
  EXPECT_EQ(model_->awaited(0), "");
}

TEST_F(ModelTest, AfterAnErrorAllIsFlushed) {
  connect("connectx", IBV_QPT_RC);
  receive(1);
  send(2, Key::stale);
  send(3);
  sent(2, IBV_WC_LOC_PROT_ERR);
  EXPECT_THROW(sent(3), Violation);
  EXPECT_THROW(received(1), Violation);
}

TEST_F(ModelTest, AFullQueueRefusesAndAnEmptyOneDoesNot) {
  connect("connectx", IBV_QPT_RC);
  EXPECT_THROW(send(9, Key::good, ENOMEM), Violation);
  for (uint64_t id = 1; id <= 4; ++id) send(id);
  EXPECT_NO_THROW(send(5, Key::good, ENOMEM));
  EXPECT_THROW(send(6), Violation);
}

TEST_F(ModelTest, APlaceIsFreeWhenACompletionIsRead) {
  connect("connectx", IBV_QPT_RC);
  for (uint64_t id = 1; id <= 4; ++id) receive(id);
  for (uint64_t id = 11; id <= 14; ++id) send(id);
  EXPECT_THROW(send(15), Violation);
  sent(11);
  EXPECT_THROW(send(15, Key::good, ENOMEM), Violation);
  EXPECT_NO_THROW(send(15));
}

TEST_F(ModelTest, AnUnreliableErrorStopsSendsAndNotReceives) {
  connect("connectx", IBV_QPT_UC);
  send(1, Key::stale);
  sent(1, IBV_WC_LOC_PROT_ERR);
  model_->settled(0);
  EXPECT_NO_THROW(model_->saw_state(0, 0, IBV_QPS_SQE));
  EXPECT_THROW(model_->saw_state(0, 0, IBV_QPS_ERR), Violation);
  EXPECT_NO_THROW(model_->saw_state(0, 1, IBV_QPS_RTS));
  send(2);
  EXPECT_THROW(sent(2), Violation);
}

TEST_F(ModelTest, TheSameSeedIsTheSamePlan) {
  Plan one = make_plan(3, 200, "permissive"), other = make_plan(3, 300, "permissive");
  ASSERT_EQ(one.connections.size(), other.connections.size());
  for (size_t i = 0; i < one.steps.size(); ++i) {
    EXPECT_EQ(describe(one.steps[i], one), describe(other.steps[i], other));
  }
}

}  // namespace
}  // namespace railyard::fuzz
