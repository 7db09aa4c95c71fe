// Completion queues, channels and their events (ibv_poll_cq(3), ibv_req_notify_cq(3),
// ibv_get_cq_event(3), ibv_get_async_event(3)).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>

#include "verbs_test.h"

namespace railyard::test {
namespace {

// A completion channel.
class Channel {
 public:
  explicit Channel(Program& program) : channel_(ibv_create_comp_channel(program.context)) {
    EXPECT_NE(channel_, nullptr);
    fcntl(channel_->fd, F_SETFL, fcntl(channel_->fd, F_GETFL) | O_NONBLOCK);
  }
  Channel(const Channel&) = delete;
  ~Channel() { EXPECT_EQ(ibv_destroy_comp_channel(channel_), 0); }

  ibv_comp_channel* get() const { return channel_; }

  bool readable(int ms) const {
    pollfd descriptor{channel_->fd, POLLIN, 0};
    return poll(&descriptor, 1, ms) == 1;
  }

  // The queue of the next event, acknowledged; nullptr when there is none.
  ibv_cq* next() const {
    ibv_cq* queue = nullptr;
    void* context = nullptr;
    if (ibv_get_cq_event(channel_, &queue, &context) != 0) {
      EXPECT_EQ(errno, EAGAIN);
      return nullptr;
    }
    ibv_ack_cq_events(queue, 1);
    return queue;
  }

 private:
  ibv_comp_channel* channel_;
};

class CompletionTest : public VerbsTest {
 protected:
  // One message from the left queue pair to the right.
  static void pass(Buffer& buffer, Pair& left, Pair& right, unsigned flags = 0) {
    ASSERT_EQ(right.receive({buffer.piece(0, 8)}), 0);
    ASSERT_EQ(left.send({buffer.piece(8, 8)}, {.flags = flags}), 0);
  }

  // Two queue pairs; the right one's completions come with events.
  struct Stage {
    Program here;
    Channel channel{here};
    Queue left_queue{here}, right_queue{here, 64, channel.get()};
    Pair left{here, left_queue}, right{here, right_queue};
    Buffer buffer{here, 4096};
    Stage() {
      left.connect(right.address());
      right.connect(left.address());
    }
    void pass(unsigned flags = 0) { CompletionTest::pass(buffer, left, right, flags); }
  };

  void with_stage(const std::function<void(Stage&)>& body, const std::string& overrides = "") {
    cluster("permissive", 1, overrides);
    program([&] {
      Stage stage;
      body(stage);
    });
  }
};

TEST_F(CompletionTest, AQueueHasAtLeastTheEntriesAskedFor) {
  cluster("connectx");
  program([] {
    Program here;
    for (int entries : {1, 2, 100, 5000, 100'000}) {
      Queue queue(here, entries);
      EXPECT_GE(queue.get()->cqe, entries);
    }
  });
}

TEST_F(CompletionTest, AQueueOfNoEntriesOrTooManyIsRefused) {
  cluster("connectx");
  program([] {
    Program here;
    for (int entries : {0, -1, here.device_attributes().max_cqe + 1}) {
      errno = 0;
      EXPECT_EQ(ibv_create_cq(here.context, entries, nullptr, nullptr, 0), nullptr) << entries;
      EXPECT_EQ(errno, EINVAL) << entries;
    }
    EXPECT_EQ(ibv_create_cq(here.context, 1, nullptr, nullptr, here.context->num_comp_vectors),
              nullptr);
  });
}

TEST_F(CompletionTest, APollTakesAsManyAsItAsksFor) {
  cluster("permissive");
  program([] {
    Program here;
    LocalPair pairs(here);
    Buffer buffer(here, 4096);
    for (int i = 0; i < 5; ++i) pass(buffer, pairs.left, pairs.right);
    pairs.left_queue.next(5);
    ibv_wc completions[16];
    EXPECT_EQ(ibv_poll_cq(pairs.right_queue.get(), 0, completions), 0);
    EXPECT_EQ(ibv_poll_cq(pairs.right_queue.get(), 2, completions), 2);
    EXPECT_EQ(ibv_poll_cq(pairs.right_queue.get(), 16, completions), 3);
    EXPECT_EQ(ibv_poll_cq(pairs.right_queue.get(), 16, completions), 0);
  });
}

TEST_F(CompletionTest, OneQueueMayServeManyQueuePairs) {
  cluster("permissive");
  program([] {
    Program here;
    Queue shared(here);
    Pair a(here, shared), b(here, shared);
    Buffer buffer(here, 4096);
    a.connect(b.address());
    b.connect(a.address());
    pass(buffer, a, b);
    pass(buffer, b, a);
    int of_a = 0, of_b = 0;
    for (const ibv_wc& completion : shared.next(4)) {
      EXPECT_EQ(completion.status, IBV_WC_SUCCESS);
      of_a += completion.qp_num == a.number();
      of_b += completion.qp_num == b.number();
    }
    EXPECT_EQ(of_a, 2);
    EXPECT_EQ(of_b, 2);
  });
}

TEST_F(CompletionTest, AnOverflowIsAnAsynchronousError) {
  cluster("connectx");
  program([] {
    Program here;
    Queue roomy(here), small(here, 1);
    auto room = static_cast<uint32_t>(small.get()->cqe);
    PairOptions options{.sends = 2 * room + 8, .receives = 2 * room + 8};
    Pair left(here, roomy, options), right(here, roomy, small, options);
    Buffer buffer(here, 4096);
    left.connect(right.address());
    right.connect(left.address());
    for (uint32_t i = 0; i < room + 1; ++i) pass(buffer, left, right);
    pollfd descriptor{here.context->async_fd, POLLIN, 0};
    // Nobody polls the small queue; its overflow is found when the last send is settled.
    roomy.next(size_t{room} + 1);
    ASSERT_EQ(poll(&descriptor, 1, static_cast<int>(kPatience.count())), 1);
    ibv_async_event event{};
    ASSERT_EQ(ibv_get_async_event(here.context, &event), 0);
    EXPECT_EQ(event.event_type, IBV_EVENT_CQ_ERR);
    EXPECT_EQ(event.element.cq, small.get());
    ibv_ack_async_event(&event);
    // What completes there is never reported, so its queue pair has failed; the other one has not.
    ASSERT_EQ(poll(&descriptor, 1, static_cast<int>(kPatience.count())), 1);
    ASSERT_EQ(ibv_get_async_event(here.context, &event), 0);
    EXPECT_EQ(event.event_type, IBV_EVENT_QP_FATAL);
    EXPECT_EQ(event.element.qp, right.get());
    ibv_ack_async_event(&event);
    EXPECT_EQ(right.state(), IBV_QPS_ERR);
    EXPECT_EQ(left.state(), IBV_QPS_RTS);
  });
}

TEST_F(CompletionTest, AResizedQueueKeepsWhatIsInIt) {
  cluster("permissive");
  program([] {
    Program here;
    LocalPair pairs(here);
    Buffer buffer(here, 4096);
    for (int i = 0; i < 3; ++i) pass(buffer, pairs.left, pairs.right);
    pairs.left_queue.next(3);
    int result = ibv_resize_cq(pairs.right_queue.get(), 1000);
    if (result == EOPNOTSUPP || result == ENOSYS) return;  // a device may say so
    EXPECT_EQ(result, 0);
    EXPECT_GE(pairs.right_queue.get()->cqe, 1000);
    for (const ibv_wc& completion : pairs.right_queue.next(3)) {
      EXPECT_EQ(completion.status, IBV_WC_SUCCESS);
    }
  });
}

TEST_F(CompletionTest, ABusyQueueCannotBeDestroyed) {
  cluster("permissive");
  program([] {
    Program here;
    LocalPair pairs(here);
    EXPECT_EQ(ibv_destroy_cq(pairs.left_queue.get()), EBUSY);
  });
}

// -------------------------------------------------------------------------------------------------
// Events.

TEST_F(CompletionTest, AnArmedQueueTellsOfItsNextCompletion) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 0), 0);
    EXPECT_FALSE(stage.channel.readable(10));
    stage.pass();
    EXPECT_TRUE(stage.channel.readable(5000));
    EXPECT_EQ(stage.channel.next(), stage.right_queue.get());
    EXPECT_EQ(stage.right_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(CompletionTest, AQueueThatIsNotArmedIsSilent) {
  with_stage([](Stage& stage) {
    stage.pass();
    stage.left_queue.next();
    EXPECT_FALSE(stage.channel.readable(50));
    EXPECT_EQ(stage.channel.next(), nullptr);
    EXPECT_EQ(stage.right_queue.next().status, IBV_WC_SUCCESS);
  });
}

TEST_F(CompletionTest, ArmingHoldsForOneEvent) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 0), 0);
    stage.pass();
    ASSERT_TRUE(stage.channel.readable(5000));
    EXPECT_NE(stage.channel.next(), nullptr);
    stage.pass();
    stage.left_queue.next(2);
    EXPECT_FALSE(stage.channel.readable(50));
    stage.right_queue.next(2);
    ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 0), 0);
    stage.pass();
    EXPECT_TRUE(stage.channel.readable(5000));
    EXPECT_NE(stage.channel.next(), nullptr);
    stage.right_queue.next();
  });
}

// Adapters do, and perftest lives by it: a batch of a queue, then the next event.
TEST_F(CompletionTest, ArmedWhileNotEmptyItTellsAtOnce) {
  with_stage([](Stage& stage) {
    stage.pass();
    stage.pass();
    stage.right_queue.next();
    ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 1), 0);
    EXPECT_FALSE(stage.channel.readable(50));  // nothing solicited
    ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 0), 0);
    EXPECT_NE(stage.channel.next(), nullptr);
    ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 0), 0);
    EXPECT_FALSE(stage.channel.readable(50));  // it has told of that
    stage.right_queue.next();
    stage.pass();
    stage.left_queue.next(3);
    EXPECT_NE(stage.channel.next(), nullptr);
    stage.right_queue.next();
    ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 0), 0);
    EXPECT_FALSE(stage.channel.readable(50));  // nothing unread
  });
}

// As ibv_req_notify_cq(3) has it: an event for what is added later.
TEST_F(CompletionTest, ArmedWhileNotEmptyItMayBeSilent) {
  with_stage(
      [](Stage& stage) {
        stage.pass();
        stage.left_queue.next();
        EXPECT_EQ(stage.right_queue.next().status, IBV_WC_SUCCESS);
        for (int i = 0; i < 2; ++i) stage.pass();
        stage.right_queue.next();  // both are there, one is read
        ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 0), 0);
        EXPECT_FALSE(stage.channel.readable(50));
      },
      R"({"rules": {"arming_tells_unread": false}})");
}

TEST_F(CompletionTest, ArmedForSolicitedCompletionsItWaitsForOne) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 1), 0);
    stage.pass();
    stage.left_queue.next();
    EXPECT_FALSE(stage.channel.readable(50));
    stage.pass(IBV_SEND_SOLICITED);
    EXPECT_TRUE(stage.channel.readable(5000));
    EXPECT_NE(stage.channel.next(), nullptr);
    stage.right_queue.next(2);
  });
}

TEST_F(CompletionTest, ArmedForSolicitedCompletionsAnErrorCountsAsOne) {
  with_stage([](Stage& stage) {
    ASSERT_EQ(stage.right.receive({stage.buffer.piece(0, 8)}), 0);
    ASSERT_EQ(ibv_req_notify_cq(stage.right_queue.get(), 1), 0);
    ASSERT_EQ(stage.right.to(IBV_QPS_ERR), 0);
    EXPECT_TRUE(stage.channel.readable(5000));
    EXPECT_NE(stage.channel.next(), nullptr);
    EXPECT_EQ(stage.right_queue.next().status, IBV_WC_WR_FLUSH_ERR);
  });
}

// Programs end their waiting with an alarm, as qperf does.
TEST_F(CompletionTest, ASignalEndsTheWaitForAnEvent) {
  cluster("permissive");
  program([&] {
    Program here;
    ibv_comp_channel* channel = ibv_create_comp_channel(here.context);
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigaction(SIGALRM, &action, nullptr);
    // Again and again, as the first may come before the wait.
    itimerval soon{{0, 20000}, {0, 20000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    ibv_cq* queue = nullptr;
    void* user = nullptr;
    EXPECT_EQ(ibv_get_cq_event(channel, &queue, &user), -1);
    EXPECT_EQ(errno, EINTR);
    ibv_async_event event{};
    EXPECT_EQ(ibv_get_async_event(here.context, &event), -1);
    EXPECT_EQ(errno, EINTR);
    setitimer(ITIMER_REAL, nullptr, nullptr);
    EXPECT_EQ(ibv_destroy_comp_channel(channel), 0);
  });
}

TEST_F(CompletionTest, AnEventNamesItsQueueAndTheQueuesContext) {
  cluster("permissive");
  program([] {
    Program here;
    Channel channel(here);
    int mark = 0;
    ibv_cq* queue = ibv_create_cq(here.context, 8, &mark, channel.get(), 0);
    ASSERT_NE(queue, nullptr);
    EXPECT_EQ(ibv_destroy_comp_channel(channel.get()), EBUSY);
    EXPECT_EQ(queue->cq_context, &mark);
    EXPECT_EQ(queue->channel, channel.get());
    EXPECT_EQ(ibv_destroy_cq(queue), 0);
  });
}

TEST_F(CompletionTest, TwoQueuesMayShareAChannel) {
  cluster("permissive");
  program([] {
    Program here;
    Channel channel(here);
    Queue first(here, 8, channel.get()), second(here, 8, channel.get());
    Pair left(here, first), right(here, second);
    Buffer buffer(here, 4096);
    left.connect(right.address());
    right.connect(left.address());
    ASSERT_EQ(ibv_req_notify_cq(first.get(), 0), 0);
    ASSERT_EQ(ibv_req_notify_cq(second.get(), 0), 0);
    pass(buffer, left, right);
    ASSERT_TRUE(channel.readable(5000));
    ibv_cq* one = channel.next();
    ASSERT_TRUE(channel.readable(5000));
    ibv_cq* other = channel.next();
    EXPECT_NE(one, other);
    EXPECT_EQ(channel.next(), nullptr);
    first.next();
    second.next();
  });
}

// The usual way to sleep: arm, look once more, wait. No message may fall between.
TEST_F(CompletionTest, ASleeperIsWokenByEveryMessage) {
  cluster("permissive", 2);
  constexpr int kMessages = 300;
  auto sleeper = [&] {
    Program here;
    ibv_comp_channel* channel = ibv_create_comp_channel(here.context);
    {
      Queue sends(here), queue(here, 64, channel);
      Pair pair(here, sends, queue);
      Buffer buffer(here, 4096);
      ASSERT_EQ(pair.to_init(), 0);
      for (int i = 0; i < 4; ++i) ASSERT_EQ(pair.receive({buffer.piece(0, 8)}), 0);
      Address peer = meeting().exchange(0, pair.address());
      ASSERT_EQ(pair.to_rtr(peer), 0);
      ASSERT_EQ(pair.to_rts(), 0);
      meeting().signal(2);
      for (int received = 0; received < kMessages;) {
        ASSERT_EQ(ibv_req_notify_cq(queue.get(), 0), 0);
        ibv_wc completion;
        int found = ibv_poll_cq(queue.get(), 1, &completion);
        if (found == 0) {
          ibv_cq* woken = nullptr;
          void* context = nullptr;
          ASSERT_EQ(ibv_get_cq_event(channel, &woken, &context), 0);
          ibv_ack_cq_events(woken, 1);
          continue;
        }
        ASSERT_EQ(completion.status, IBV_WC_SUCCESS);
        ++received;
        ASSERT_EQ(pair.receive({buffer.piece(0, 8)}), 0);
        ASSERT_EQ(pair.send({buffer.piece(8, 8)}), 0);
        ASSERT_EQ(sends.next().status, IBV_WC_SUCCESS);
      }
      meeting().wait(3);
      ibv_wc rest;
      while (ibv_poll_cq(queue.get(), 1, &rest) > 0) {
      }
    }
    EXPECT_EQ(ibv_destroy_comp_channel(channel), 0);
  };
  auto sender = [&] {
    Program here;
    Queue sends(here), receives(here);
    Pair pair(here, sends, receives);
    Buffer buffer(here, 4096);
    pair.connect(meeting().exchange(1, pair.address()));
    meeting().wait(2);
    for (int i = 0; i < kMessages; ++i) {
      ASSERT_EQ(pair.receive({buffer.piece(0, 8)}), 0);
      if (i % 10 == 0) usleep(1000);  // let it fall asleep
      ASSERT_EQ(pair.send({buffer.piece(8, 8)}), 0);
      ASSERT_EQ(sends.next().status, IBV_WC_SUCCESS);
      ASSERT_EQ(receives.next().status, IBV_WC_SUCCESS) << "answer " << i;
    }
    meeting().signal(3);
  };
  together({sleeper, sender});
}

// -------------------------------------------------------------------------------------------------
// Asynchronous events.

TEST_F(CompletionTest, AnUnpluggedCableIsAPortError) {
  cluster("connectx", 2);
  pid_t pid = start(0, [&] {
    Program here;
    fcntl(here.context->async_fd, F_SETFL, O_NONBLOCK);
    ibv_async_event event{};
    EXPECT_EQ(ibv_get_async_event(here.context, &event), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(here.port_attributes().state, IBV_PORT_ACTIVE);
    meeting().signal(0);
    pollfd descriptor{here.context->async_fd, POLLIN, 0};
    ASSERT_EQ(poll(&descriptor, 1, 5000), 1);
    ASSERT_EQ(ibv_get_async_event(here.context, &event), 0);
    EXPECT_EQ(event.event_type, IBV_EVENT_PORT_ERR);
    EXPECT_EQ(event.element.port_num, 1);
    ibv_ack_async_event(&event);
    EXPECT_EQ(here.port_attributes().state, IBV_PORT_DOWN);
    meeting().signal(1);
    ASSERT_EQ(poll(&descriptor, 1, 5000), 1);
    ASSERT_EQ(ibv_get_async_event(here.context, &event), 0);
    EXPECT_EQ(event.event_type, IBV_EVENT_PORT_ACTIVE);
    ibv_ack_async_event(&event);
  });
  meeting().wait(0);
  fabric().unplug(fabric().cable("c1"));
  meeting().wait(1);
  fabric().plug(fabric().cable("c1"));
  EXPECT_EQ(finish(pid), 0);
}

}  // namespace
}  // namespace railyard::test
