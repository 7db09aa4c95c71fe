// Messages that go whole over one rail: what most variants do when they have come that far.
#pragma once

#include "railyard-faulty/session.h"

namespace railyard::faulty {

enum class Posting { early, late };

// Large enough for every message of the workload at once.
Endpoint::Options endpoint_for_messages(const Session& session);

// Runs the workload: for each operation all its messages are under way at once. `posting` says
// whether the receiver posts before or after the ranks have agreed to start.
void move_messages(Session& session, SideChannel& channel, Endpoint& endpoint, Posting posting);

}  // namespace railyard::faulty
