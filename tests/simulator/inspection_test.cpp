// What an onlooker sees of programs at work: the snapshot and the trace, on which verdicts rest.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "verbs_test.h"

namespace railyard::test {
namespace {

using fabric::Activity;
using fabric::Snapshot;

class InspectionTest : public VerbsTest {
 protected:
  // Runs a program on node 0 to its call of `ready`, looks, and lets it end.
  void look(const std::function<void(const std::function<void()>& ready)>& body,
            const std::function<void(const Snapshot&)>& inspect) {
    pid_t pid = start(0, [&] {
      body([&] {
        meeting().signal(0);
        meeting().wait(1);
      });
    });
    meeting().wait(0);
    inspect(fabric().snapshot());
    meeting().signal(1);
    EXPECT_EQ(finish(pid), 0);
  }

  // Of two queue pairs, the one that has posted sends and the one that has not.
  static const fabric::QueuePairView& sender(const Snapshot& seen) {
    return seen.queue_pairs.at(seen.queue_pairs.at(0).sends_posted > 0 ? 0 : 1);
  }
  static const fabric::QueuePairView& receiver(const Snapshot& seen) {
    return seen.queue_pairs.at(seen.queue_pairs.at(0).sends_posted > 0 ? 1 : 0);
  }
};

TEST_F(InspectionTest, AContextCountsWhatIsMadeOfIt) {
  cluster("permissive");
  look(
      [](auto ready) {
        Program here;
        Queue first(here), second(here);
        Pair pair(here, first);
        Buffer a(here, 4096), b(here, 4096), c(here, 4096);
        ready();
      },
      [](const Snapshot& seen) {
        ASSERT_EQ(seen.contexts.size(), 1u);
        EXPECT_EQ(seen.contexts[0].device, 0);
        EXPECT_EQ(seen.contexts[0].process, seen.processes.at(0).index);
        EXPECT_EQ(seen.contexts[0].protection_domains, 1);
        EXPECT_EQ(seen.contexts[0].completion_queues, 2);
        EXPECT_EQ(seen.contexts[0].queue_pairs, 1);
        EXPECT_EQ(seen.contexts[0].memory_regions, 3);
        EXPECT_EQ(seen.completion_queues.size(), 2u);
        EXPECT_TRUE(seen.processes[0].alive);
        EXPECT_EQ(seen.processes[0].node, 0);
      });
  EXPECT_TRUE(fabric().snapshot().contexts.empty());
}

TEST_F(InspectionTest, QueuePairsCountTheirRequests) {
  cluster("permissive");
  look(
      [](auto ready) {
        Program here;
        LocalPair pairs(here, {.type = IBV_QPT_UC});
        Buffer buffer(here, 4096);
        for (int i = 0; i < 2; ++i) ASSERT_EQ(pairs.right.receive({buffer.piece(0, 100)}), 0);
        for (int i = 0; i < 3; ++i) ASSERT_EQ(pairs.left.send({buffer.piece(0, 77)}), 0);
        pairs.right_queue.next(2);
        pairs.left_queue.next(2);
        EXPECT_TRUE(pairs.left_queue.quiet());
        ready();
      },
      [](const Snapshot& seen) {
        ASSERT_EQ(seen.queue_pairs.size(), 2u);
        const auto &from = sender(seen), &to = receiver(seen);
        EXPECT_EQ(from.sends_posted, 3u);
        EXPECT_EQ(from.sends_settled, 2u);
        EXPECT_EQ(from.sends_completed, 2u);
        EXPECT_EQ(from.sends_lost, 0u);
        EXPECT_EQ(from.waiting_opcode, "SEND");
        EXPECT_EQ(from.waiting_bytes, 77u);
        EXPECT_EQ(to.receives_posted, 2u);
        EXPECT_EQ(to.receives_filled, 2u);
        EXPECT_EQ(seen.queue_pairs.at(static_cast<size_t>(from.peer)).number, to.number);
        EXPECT_EQ(from.peer_number, to.number);
        EXPECT_EQ(seen.in_flight, 0) << "a held message waits for a receive, not for time";
        const fabric::PortView& port = seen.ports.at(0);
        EXPECT_EQ(port.messages_out, 3u);
        EXPECT_EQ(port.bytes_out, 3u * 77);
        EXPECT_EQ(port.messages_in, 2u);
        EXPECT_EQ(port.bytes_in, 2u * 77);
      });
  // What a port has carried stays when the queue pairs are gone.
  EXPECT_EQ(fabric().snapshot().ports.at(0).bytes_out, 3u * 77);
}

TEST_F(InspectionTest, ADroppedMessageIsSeenWithItsTime) {
  cluster("connectx");
  look(
      [](auto ready) {
        Program here;
        LocalPair pairs(here, {.type = IBV_QPT_UC});
        Buffer buffer(here, 4096);
        ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
        usleep(2000);
        ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}), 0);
        pairs.left_queue.next();
        EXPECT_TRUE(pairs.right_queue.quiet());
        ready();
      },
      [](const Snapshot& seen) {
        const auto& to = receiver(seen);
        EXPECT_EQ(to.dropped_no_receive, 1u);
        EXPECT_GT(to.dropped_at_ns, 0);
        EXPECT_GE(to.receive_posted_after_drop_ns, to.dropped_at_ns + 1'000'000);
        EXPECT_LE(to.receive_posted_after_drop_ns, seen.now_ns);
        EXPECT_EQ(to.receives_filled, 0u);
      });
}

TEST_F(InspectionTest, ReceiversThatAreNotReadyAreCounted) {
  cluster("connectx");
  look(
      [](auto ready) {
        Program here;
        LocalPair pairs(here, {.rnr_retries = 1});
        Buffer buffer(here, 4096);
        ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
        EXPECT_EQ(pairs.left_queue.next().status, IBV_WC_RNR_RETRY_EXC_ERR);
        ready();
      },
      [](const Snapshot& seen) {
        EXPECT_GE(receiver(seen).receiver_not_ready, 1u);
        EXPECT_EQ(sender(seen).completions_in_error, 1u);
        EXPECT_EQ(sender(seen).last_error, "IBV_WC_RNR_RETRY_EXC_ERR");
        EXPECT_EQ(sender(seen).state, "ERR");
      });
}

TEST_F(InspectionTest, WhatLeavesForAnUnpluggedCableIsLost) {
  cluster("connectx", 2);
  auto peer = [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UC});
    pair.connect(meeting().exchange(1, pair.address()));
    meeting().signal(10);
    meeting().wait(11);
  };
  pid_t second = start(1, peer);
  pid_t first = start(0, [&] {
    Program here;
    Queue queue(here);
    Pair pair(here, queue, {.type = IBV_QPT_UC});
    Buffer buffer(here, 4096);
    pair.connect(meeting().exchange(0, pair.address()));
    meeting().wait(12);
    for (int i = 0; i < 2; ++i) ASSERT_EQ(pair.send({buffer.piece(0, 8)}), 0);
    queue.next(2);
    meeting().signal(13);
    meeting().wait(11);
  });
  meeting().wait(10);
  fabric().unplug(fabric().cable("c2"));
  meeting().signal(12);
  meeting().wait(13);
  Snapshot seen = fabric().snapshot();
  EXPECT_EQ(sender(seen).sends_lost, 2u);
  EXPECT_FALSE(sender(seen).reachable);
  EXPECT_EQ(sender(seen).peer_port, 1);
  EXPECT_EQ(receiver(seen).receives_filled, 0u);
  meeting().signal(11);
  EXPECT_EQ(finish(first), 0);
  EXPECT_EQ(finish(second), 0);
}

// -------------------------------------------------------------------------------------------------
// How processes pass their time.

TEST_F(InspectionTest, APollerPollsAndMakesNoProgress) {
  cluster("permissive");
  pid_t pid = start(0, [&] {
    Program here;
    Queue queue(here);
    meeting().signal(0);
    ibv_wc none;
    while (!meeting().told(1)) ASSERT_EQ(ibv_poll_cq(queue.get(), 1, &none), 0);
  });
  meeting().wait(0);
  wait_until("a process that polls", [](const Snapshot& seen) {
    return seen.processes.at(0).activity == Activity::polling;
  });
  Snapshot before = fabric().snapshot();
  wait_until("more polls", [&](const Snapshot& seen) {
    return seen.processes.at(0).empty_polls > before.processes[0].empty_polls;
  });
  Snapshot after = fabric().snapshot();
  EXPECT_EQ(after.processes[0].progress, before.processes[0].progress);
  EXPECT_EQ(after.activity, before.activity) << "empty polls are no activity";
  EXPECT_EQ(after.in_flight, 0);
  meeting().signal(1);
  EXPECT_EQ(finish(pid), 0);
}

TEST_F(InspectionTest, AProcessInNoVerbIsElsewhere) {
  cluster("permissive");
  look(
      [](auto ready) {
        Program here;
        ready();
      },
      [&](const Snapshot& seen) {
        EXPECT_EQ(seen.processes.at(0).activity, Activity::elsewhere);
        EXPECT_EQ(fabric().snapshot().processes.at(0).activity, Activity::elsewhere);
        EXPECT_EQ(fabric().snapshot().activity, seen.activity);
      });
}

TEST_F(InspectionTest, ASleeperIsBlockedInItsVerb) {
  cluster("permissive");
  pid_t pid = start(0, [&] {
    Program here;
    ibv_comp_channel* channel = ibv_create_comp_channel(here.context);
    Queue queue(here, 8, channel);
    ASSERT_EQ(ibv_req_notify_cq(queue.get(), 0), 0);
    ibv_cq* woken = nullptr;
    void* context = nullptr;
    ibv_get_cq_event(channel, &woken, &context);
  });
  wait_until("a process blocked in ibv_get_cq_event", [](const Snapshot& seen) {
    return !seen.processes.empty() && seen.processes[0].activity == Activity::blocked &&
           seen.processes[0].verb == "ibv_get_cq_event" && seen.processes[0].waits_for != "";
  });
  EXPECT_TRUE(fabric().snapshot().completion_queues.at(0).armed);
  kill(pid, SIGKILL);
  finish(pid);
}

TEST_F(InspectionTest, EveryMessageIsProgress) {
  cluster("permissive");
  pid_t pid = start(0, [&] {
    Program here;
    LocalPair pairs(here);
    Buffer buffer(here, 4096);
    for (int round = 0; round < 2; ++round) {
      meeting().signal(2 * round);
      meeting().wait(2 * round + 1);
      ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}), 0);
      ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
      pairs.right_queue.next();
      pairs.left_queue.next();
    }
    meeting().signal(4);
    meeting().wait(5);
  });
  uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    meeting().wait(2 * round);
    Snapshot seen = fabric().snapshot();
    EXPECT_GT(seen.activity, last);
    last = seen.activity;
    meeting().signal(2 * round + 1);
  }
  EXPECT_EQ(finish(pid), 0);
}

TEST_F(InspectionTest, CompletionsThatNobodyReadAreSeen) {
  cluster("permissive");
  look(
      [](auto ready) {
        Program here;
        LocalPair pairs(here);
        Buffer buffer(here, 4096);
        for (int i = 0; i < 3; ++i) {
          ASSERT_EQ(pairs.right.receive({buffer.piece(0, 8)}), 0);
          ASSERT_EQ(pairs.left.send({buffer.piece(0, 8)}), 0);
        }
        pairs.left_queue.next(3);
        pairs.right_queue.next();
        ready();
      },
      [](const Snapshot& seen) {
        uint64_t written = 0, read = 0;
        for (const auto& queue : seen.completion_queues) {
          written += queue.written;
          read += queue.read;
        }
        EXPECT_EQ(written, 6u);
        EXPECT_EQ(read, 4u);
      });
}

// -------------------------------------------------------------------------------------------------
// The trace.

TEST_F(InspectionTest, TheTraceTellsTheStoryOfAMessage) {
  cluster("permissive");
  fabric().record_trace(true);
  program([] {
    Program here;
    LocalPair pairs(here);
    Buffer buffer(here, 4096);
    ASSERT_EQ(pairs.right.receive({buffer.piece(0, 100)}), 0);
    ASSERT_EQ(pairs.left.send({buffer.piece(0, 55)}), 0);
    pairs.right_queue.next();
    pairs.left_queue.next();
  });
  // It is there although the process is gone.
  std::vector<fabric::TraceEvent> trace = fabric().trace(100);
  ASSERT_FALSE(trace.empty());
  EXPECT_TRUE(std::is_sorted(trace.begin(), trace.end(),
                             [](const auto& a, const auto& b) { return a.at_ns < b.at_ns; }));
  auto find = [&](const std::string& what) {
    return std::find_if(trace.begin(), trace.end(), [&](const fabric::TraceEvent& event) {
      return event.text().find(what) != std::string::npos;
    });
  };
  auto posted = find("post_send SEND");
  ASSERT_NE(posted, trace.end());
  EXPECT_EQ(posted->bytes, 55u);
  EXPECT_NE(posted->queue_pair, 0u);
  EXPECT_NE(find("state RTS"), trace.end());
  EXPECT_NE(find("send done"), trace.end());
  // Both ends give a message one number.
  auto received = find("recv done");
  ASSERT_NE(received, trace.end());
  EXPECT_NE(posted->message, 0u);
  EXPECT_EQ(received->message, posted->message);
  EXPECT_NE(received->queue_pair, posted->queue_pair);
  EXPECT_LE(fabric().trace(2).size(), 2u);
}

TEST_F(InspectionTest, ACursorReadsEachEventOnce) {
  cluster("permissive");
  fabric().record_trace(true);
  fabric::TraceCursor cursor;
  program([&] {
    Program here;
    LocalPair pairs(here);
    Buffer buffer(here, 4096);
    size_t opened = fabric().trace_since(cursor).size();
    EXPECT_GT(opened, 0u);
    EXPECT_TRUE(fabric().trace_since(cursor).empty());
    ASSERT_EQ(pairs.left.send({buffer.piece(0, 55)}), 0);
    std::vector<fabric::TraceEvent> later = fabric().trace_since(cursor);
    ASSERT_FALSE(later.empty());
    EXPECT_EQ(later.front().kind, fabric::TraceKind::post_send);
    EXPECT_EQ(cursor.missed, 0u);
  });
}

TEST_F(InspectionTest, ATraceThatIsReadTooRarelySaysWhatItLacks) {
  cluster("permissive");
  fabric().record_trace(true);
  program([&] {
    Program here;
    LocalPair pairs(here);
    Buffer buffer(here, 4096);
    for (int i = 0; i < 3000; ++i) {
      ASSERT_EQ(pairs.right.receive({buffer.piece(0, 100)}), 0);
      ASSERT_EQ(pairs.left.send({buffer.piece(0, 55)}), 0);
      pairs.right_queue.next();
      pairs.left_queue.next();
    }
  });
  fabric::TraceCursor cursor;
  size_t kept = fabric().trace_since(cursor).size();
  EXPECT_GT(kept, 1000u);
  EXPECT_GE(kept + cursor.missed, 12000u);  // four events a message
}

TEST_F(InspectionTest, NothingIsTracedUnlessItIsAskedFor) {
  cluster("permissive");
  program([] {
    Program here;
    LocalPair pairs(here);
  });
  EXPECT_TRUE(fabric().trace(100).empty());
}

}  // namespace
}  // namespace railyard::test
