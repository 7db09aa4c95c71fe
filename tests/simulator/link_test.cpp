// What a cable does to messages: the link model, and faults that pick a message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "verbs_test.h"

namespace railyard::test {
namespace {

using fabric::LinkModel;
using fabric::MessageFault;
using testing::ElementsAre;
using Clock = std::chrono::steady_clock;

// One node with two devices, joined by the cable "c1": end 0 is the left one's.
class LinkTest : public VerbsTest {
 protected:
  struct Stage {
    explicit Stage(PairOptions options, size_t bytes = 1 << 20)
        : from(left_program, bytes),
          to(right_program, bytes),
          left(left_program, left_queue, options),
          right(right_program, right_queue, options) {
      left.connect(right.address());
      right.connect(left.address());
    }
    // Posts receives with the ids 1 to n, each with room for so many bytes.
    void receives(int count, size_t bytes) {
      for (int i = 1; i <= count; ++i) {
        ASSERT_EQ(right.receive({to.piece((i - 1) * bytes, bytes)}, static_cast<uint64_t>(i)), 0);
      }
    }
    // Sends n messages of so many bytes with the ids and immediates 1 to n.
    void sends(int count, size_t bytes) {
      for (int i = 1; i <= count; ++i) {
        ASSERT_EQ(left.send({from.piece(0, bytes)}, {.id = static_cast<uint64_t>(i),
                                                     .opcode = IBV_WR_SEND_WITH_IMM,
                                                     .immediate = static_cast<uint32_t>(i)}),
                  0);
      }
    }
    // The immediates of what arrives until nothing more does.
    std::vector<uint32_t> arrivals() {
      std::vector<uint32_t> found;
      auto last = Clock::now();
      ibv_wc done;
      while (Clock::now() - last < Milliseconds(100)) {
        if (ibv_poll_cq(right_queue.get(), 1, &done) != 1) continue;
        EXPECT_EQ(done.status, IBV_WC_SUCCESS);
        found.push_back(done.imm_data);
        last = Clock::now();
      }
      return found;
    }

    Program left_program{0}, right_program{1};
    Queue left_queue{left_program}, right_queue{right_program};
    Buffer from, to;
    Pair left, right;
  };

  void link(const std::string& profile = "permissive") {
    fabric::ClusterSpec spec;
    spec.profile = profile;
    spec.nodes = {{"node0", {"left", "right"}}};
    spec.cables = {{"c1", {"node0/left", "node0/right"}}};
    cluster(spec);
  }
  fabric::FaultView fault(int id) {
    for (const fabric::FaultView& view : fabric().snapshot().faults) {
      if (view.id == id) return view;
    }
    return {};
  }
};

constexpr PairOptions kUnreliable{.type = IBV_QPT_UC};

TEST_F(LinkTest, LatencyDelaysAMessage) {
  link();
  fabric().shape(0, 0, {.latency_ns = 20e6});
  program([] {
    Stage stage({});
    stage.receives(1, 64);
    auto begin = Clock::now();
    stage.sends(1, 64);
    EXPECT_EQ(stage.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_GE(Clock::now() - begin, Milliseconds(20));
  });
}

TEST_F(LinkTest, TheOtherDirectionIsNotDelayed) {
  link();
  fabric().shape(0, 1, {.latency_ns = 10e9});
  program([] {
    Stage stage(kUnreliable);
    stage.receives(1, 64);
    stage.sends(1, 64);
    EXPECT_EQ(stage.right_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(LinkTest, AReliableSendIsDoneWhenItsAcknowledgementIsBack) {
  link();
  fabric().shape(0, 1, {.latency_ns = 20e6});
  program([] {
    Stage stage({});
    stage.receives(1, 64);
    auto begin = Clock::now();
    stage.sends(1, 64);
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_GE(Clock::now() - begin, Milliseconds(20));
  });
}

TEST_F(LinkTest, BandwidthSpacesMessages) {
  link();
  fabric().shape(0, 0, {.bandwidth_bytes_per_s = 10e6});
  program([] {
    Stage stage(kUnreliable);
    stage.receives(5, 100'000);
    auto begin = Clock::now();
    stage.sends(5, 100'000);
    for (int i = 1; i <= 5; ++i) {
      EXPECT_EQ(stage.right_queue.next().status, IBV_WC_SUCCESS);
      EXPECT_GE(Clock::now() - begin, Milliseconds(10 * i));
    }
  });
}

TEST_F(LinkTest, AShapedLinkCountsWhatPasses) {
  link();
  fabric().shape(0, -1, {});
  program([] {
    Stage stage(kUnreliable);
    stage.receives(3, 64);
    stage.sends(3, 64);
    EXPECT_THAT(stage.arrivals(), ElementsAre(1, 2, 3));
  });
  EXPECT_EQ(fabric().snapshot().cables[0].links[0].messages, 3u);
  EXPECT_EQ(fabric().snapshot().cables[0].links[1].messages, 0u);
}

TEST_F(LinkTest, AnUnreliableMessageThatIsDroppedIsMissing) {
  link();
  int id = fabric().arm(MessageFault{.cable = 0, .from_end = 0, .nth = 3});
  program([] {
    Stage stage(kUnreliable);
    stage.receives(5, 64);
    stage.sends(5, 64);
    EXPECT_THAT(stage.arrivals(), ElementsAre(1, 2, 4, 5));
    for (const ibv_wc& done : stage.left_queue.next(5)) EXPECT_EQ(done.status, IBV_WC_SUCCESS);
  });
  EXPECT_EQ(fault(id).fired, 1u);
  EXPECT_THAT(fault(id).evidence, testing::HasSubstr("dropped on cable c1"));
}

TEST_F(LinkTest, AReliableMessageThatIsDroppedComesAgain) {
  link();
  int id = fabric().arm(MessageFault{.cable = 0, .from_end = 0, .nth = 3});
  program([] {
    Stage stage({.timeout = 12});  // 4.096 us * 2^12: 17 ms
    stage.receives(5, 64);
    auto begin = Clock::now();
    stage.sends(5, 64);
    EXPECT_THAT(stage.arrivals(), ElementsAre(1, 2, 3, 4, 5));
    EXPECT_GE(Clock::now() - begin, Milliseconds(16));
  });
  EXPECT_EQ(fault(id).fired, 1u);
}

TEST_F(LinkTest, AReliableConnectionGivesUpOnALinkThatLosesAll) {
  link();
  fabric().shape(0, 0, {.loss = 1});
  program([] {
    Stage stage({.timeout = 8, .retries = 2});
    stage.receives(2, 64);
    stage.sends(2, 64);
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_RETRY_EXC_ERR);
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_WR_FLUSH_ERR);
    EXPECT_TRUE(stage.right_queue.quiet());
  });
  EXPECT_EQ(fabric().snapshot().cables[0].links[0].lost, 3u);  // the second is not sent after the first
}

TEST_F(LinkTest, TheSameSeedLosesTheSameMessages) {
  std::vector<std::vector<uint32_t>> runs;
  for (uint64_t seed : {5, 5, 6}) {
    link();
    fabric().shape(0, 0, {.loss = 0.3, .seed = seed});
    program([&, place = static_cast<int>(runs.size())] {
      Stage stage(kUnreliable);
      stage.receives(50, 64);
      stage.sends(50, 64);
      std::vector<uint32_t> arrived = stage.arrivals();
      arrived.resize(50);
      std::array<uint32_t, 50> told;
      std::copy(arrived.begin(), arrived.end(), told.begin());
      meeting().tell(10 + place, told);
    });
    auto told = meeting().hear<std::array<uint32_t, 50>>(10 + static_cast<int>(runs.size()));
    runs.emplace_back(told.begin(), told.end());
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_NE(runs[0], runs[2]);
  EXPECT_EQ(runs[0].back(), 0u) << "nothing was lost";
}

TEST_F(LinkTest, ADeviceThatChecksIntegrityLosesADamagedMessage) {
  link("connectx");
  int id =
      fabric().arm(MessageFault{.cable = 0, .nth = 1, .action = MessageFault::Action::corrupt});
  program([] {
    Stage stage(kUnreliable);
    stage.receives(2, 64);
    stage.sends(2, 64);
    EXPECT_THAT(stage.arrivals(), ElementsAre(2));
  });
  EXPECT_EQ(fault(id).fired, 1u);
}

TEST_F(LinkTest, ThunderboltDeliversADamagedMessage) {
  link("apple-thunderbolt5");
  fabric().arm(MessageFault{.cable = 0, .nth = 1, .action = MessageFault::Action::corrupt});
  program([] {
    Stage stage(kUnreliable);
    stage.from.fill(3, 0, 100);
    ASSERT_EQ(stage.right.receive({stage.to.piece(0, 4096)}), 0);
    ASSERT_EQ(stage.left.send({stage.from.piece(0, 100)}), 0);
    EXPECT_EQ(stage.left_queue.next().status, IBV_WC_SUCCESS);
    EXPECT_EQ(stage.right_queue.next().status, IBV_WC_SUCCESS);
    int different = 0;
    for (int i = 0; i < 100; ++i) different += stage.from.data()[i] != stage.to.data()[i];
    EXPECT_EQ(different, 1);
  });
}

TEST_F(LinkTest, ADelayedMessageHoldsUpThoseBehindIt) {
  link();
  fabric().arm(MessageFault{.cable = 0,
                            .from_end = 0,
                            .nth = 2,
                            .action = MessageFault::Action::delay,
                            .delay_ns = 30'000'000});
  program([] {
    Stage stage(kUnreliable);
    stage.receives(3, 64);
    auto begin = Clock::now();
    stage.sends(3, 64);
    EXPECT_THAT(stage.arrivals(), ElementsAre(1, 2, 3));
    EXPECT_GE(Clock::now() - begin, Milliseconds(30));
  });
}

TEST_F(LinkTest, AHeldMessageArrivesWhenItIsReleased) {
  link();
  int id = fabric().arm(
      MessageFault{.cable = 0, .from_end = 0, .nth = 2, .action = MessageFault::Action::hold});
  pid_t running = start(0, [&] {
    Stage stage(kUnreliable);
    stage.receives(3, 64);
    stage.sends(3, 64);
    EXPECT_THAT(stage.arrivals(), ElementsAre(1));
    meeting().signal(1);
    EXPECT_EQ(stage.right_queue.next().imm_data, 2u);
    EXPECT_EQ(stage.right_queue.next().imm_data, 3u);
  });
  meeting().wait(1);
  EXPECT_EQ(fabric().snapshot().in_flight, 0) << "a held message moves by itself";
  fabric().release(id);
  EXPECT_EQ(finish(running), 0);
}

class DatagramLinkTest : public LinkTest {
 protected:
  struct DatagramStage {
    DatagramStage() {
      left.connect();
      right.connect();
      ibv_ah_attr attributes{};
      attributes.port_num = 1;
      attributes.dlid = right.address().lid;
      handle = ibv_create_ah(left_program.domain, &attributes);
      for (uint64_t i = 0; i < 8; ++i) EXPECT_EQ(right.receive({to.piece(i * 128, 128)}, i), 0);
    }
    ~DatagramStage() { EXPECT_EQ(ibv_destroy_ah(handle), 0); }
    void send(uint32_t immediate) {
      ASSERT_EQ(left.send({from.piece(0, 8)}, {.opcode = IBV_WR_SEND_WITH_IMM,
                                               .immediate = immediate,
                                               .handle = handle,
                                               .number = right.number()}),
                0);
    }
    std::vector<uint32_t> arrivals(size_t count) {
      std::vector<uint32_t> found;
      for (const ibv_wc& done : right_queue.next(count)) found.push_back(done.imm_data);
      EXPECT_TRUE(right_queue.quiet());
      return found;
    }

    Program left_program{0}, right_program{1};
    Queue left_queue{left_program}, right_queue{right_program};
    Buffer from{left_program, 4096}, to{right_program, 4096};
    Pair left{left_program, left_queue, {.type = IBV_QPT_UD}};
    Pair right{right_program, right_queue, {.type = IBV_QPT_UD}};
    ibv_ah* handle = nullptr;
  };
};

TEST_F(DatagramLinkTest, ADatagramMayComeTwice) {
  link();
  fabric().shape(0, 0, {.duplication = 1});
  program([] {
    DatagramStage stage;
    stage.send(1);
    EXPECT_THAT(stage.arrivals(2), ElementsAre(1, 1));
  });
}

TEST_F(DatagramLinkTest, ADatagramMayBeOvertaken) {
  link();
  fabric().shape(0, 0, {.reordering = 0.5, .seed = 1});
  program([] {
    DatagramStage stage;
    for (uint32_t i = 1; i <= 8; ++i) stage.send(i);
    ibv_wc done;
    std::vector<uint32_t> found;
    while (found.size() < 7 && (done = stage.right_queue.next()).status == IBV_WC_SUCCESS) {
      found.push_back(done.imm_data);
    }
    EXPECT_FALSE(std::is_sorted(found.begin(), found.end()));
  });
  EXPECT_GT(fabric().snapshot().cables[0].links[0].reordered, 0u);
}

TEST_F(LinkTest, NonsenseIsRefused) {
  link();
  EXPECT_THROW(fabric().shape(0, 0, {.loss = 1.5}), fabric::Error);
  EXPECT_THROW(fabric().shape(0, 2, {}), fabric::Error);
  EXPECT_THROW(fabric().shape(7, 0, {}), fabric::Error);
  EXPECT_THROW(fabric().shape(0, 0, {.latency_ns = -1}), fabric::Error);
  EXPECT_THROW(fabric().arm(MessageFault{.cable = 0, .nth = 0}), fabric::Error);
  EXPECT_THROW(fabric().arm(MessageFault{.cable = 9}), fabric::Error);
}

}  // namespace
}  // namespace railyard::test
