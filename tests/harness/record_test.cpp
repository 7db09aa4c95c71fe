#include "railyard/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "record/messages.h"

namespace railyard::harness {
namespace {

using fabric::TraceEvent;
using fabric::TraceKind;
using testing::SizeIs;
using testing::StrEq;

TraceEvent event(TraceKind kind, int64_t at_ns, uint32_t pair, uint64_t message, uint32_t request,
                 const char* detail) {
  TraceEvent event;
  event.kind = kind;
  event.at_ns = at_ns;
  event.queue_pair = pair;
  event.message = message;
  event.request = request;
  event.bytes = 64;
  event.detail = detail;
  return event;
}

TEST(Messages, BothEndsBecomeOneWhoeverIsReadFirst) {
  MessageBook book(100);
  book.add(event(TraceKind::receive_done, 300, 17, 9, 0, "IBV_WC_SUCCESS"));
  book.add(event(TraceKind::post_send, 100, 16, 9, 0, "SEND"));
  book.add(event(TraceKind::send_done, 400, 16, 9, 0, "IBV_WC_SUCCESS"));
  std::vector<RecordedMessage> messages = book.take();
  ASSERT_THAT(messages, SizeIs(1));
  EXPECT_EQ(messages[0].pair, 16u);
  EXPECT_EQ(messages[0].peer, 17u);
  EXPECT_EQ(messages[0].posted_ns, 100);
  EXPECT_EQ(messages[0].arrived_ns, 300);
  EXPECT_EQ(messages[0].completed_ns, 400);
  EXPECT_THAT(messages[0].opcode, StrEq("SEND"));
}

TEST(Messages, WhatNeverGotOntoAWireIsKnownByItsRequest) {
  MessageBook book(100);
  for (uint32_t request : {0u, 1u}) {
    book.add(event(TraceKind::lost, 90, 16, 0, request, "lost"));
    book.add(event(TraceKind::post_send, 100 + request, 16, 0, request, "SEND"));
    book.add(event(TraceKind::send_done, 110, 16, 0, request, "IBV_WC_SUCCESS"));
  }
  std::vector<RecordedMessage> messages = book.take();
  ASSERT_THAT(messages, SizeIs(2));
  EXPECT_THAT(messages[0].lost, StrEq("lost"));
  EXPECT_EQ(messages[1].posted_ns, 101);
  EXPECT_EQ(messages[1].peer, 0u);
}

TEST(Messages, DroppedAtItsReceiverNamesBothEnds) {
  MessageBook book(100);
  book.add(event(TraceKind::post_send, 100, 16, 5, 0, "SEND"));
  book.add(event(TraceKind::lost, 200, 17, 5, 0, "dropped: no receive"));
  std::vector<RecordedMessage> messages = book.take();
  ASSERT_THAT(messages, SizeIs(1));
  EXPECT_EQ(messages[0].peer, 17u);
  EXPECT_THAT(messages[0].lost, StrEq("dropped: no receive"));
}

TEST(Messages, AFlushedReceiveIsNoMessage) {
  MessageBook book(100);
  book.add(event(TraceKind::receive_done, 300, 17, 0, 0, "IBV_WC_WR_FLUSH_ERR"));
  EXPECT_THAT(book.take(), SizeIs(0));
}

TEST(Messages, TheLastAreKeptAndAllAreCounted) {
  MessageBook book(10);
  for (uint32_t i = 1; i <= 1000; ++i) {
    book.add(event(TraceKind::post_send, i, 16, i, i, "SEND"));
    book.add(event(TraceKind::send_done, i, 16, i, i, "IBV_WC_SUCCESS"));
  }
  EXPECT_EQ(book.seen(), 1000u);
  std::vector<RecordedMessage> messages = book.take();
  ASSERT_THAT(messages, SizeIs(10));
  EXPECT_EQ(messages.front().number, 991u);
  EXPECT_EQ(messages.back().number, 1000u);
  EXPECT_EQ(messages.back().completed_ns, 1000);
}

}  // namespace
}  // namespace railyard::harness
