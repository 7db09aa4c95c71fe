// Messages that go whole over one rail: what most variants do when they have come that far.
#pragma once

#include "railyard-faulty/session.h"

namespace railyard::faulty {

// How the messages are moved; a default is the right way.
struct Habits {
  bool posts_late = false;     // receives are posted after the ranks have agreed to start
  bool previous_size = false;  // a receive is as large as the message before was
  bool producer_late = false;  // the last quarter is written after the send was posted
  bool skips_rows = false;     // the last quarter is not written at all
  bool leaves_last = false;    // the last completion of each operation is not taken
  bool calls_overlap = false;  // two threads send: every second message overtakes the one before
};

// Large enough for every message of the workload at once.
Endpoint::Options endpoint_for_messages(const Session& session);

// Runs the workload: for each operation all its messages are under way at once.
void move_messages(Session& session, SideChannel& channel, Endpoint& endpoint,
                   const Habits& habits);

// Two ranks, a side channel, a link of one rail, and the workload's messages over it.
void run_messages(Session& session, const Habits& habits);

}  // namespace railyard::faulty
