// Mistakes in how a queue pair is set up and read.
#include "railyard-faulty/messages.h"
#include "railyard-faulty/variants.h"

namespace railyard::faulty {
namespace {

void run(Session& session, const Endpoint::Options& options) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  Link link(session, channel, 1 - session.place.rank, options);
  move_messages(session, channel, link.rail(0), {});
}

}  // namespace

void status_unread(Session& session) {
  session.expect_messages_of_two();
  Endpoint::Options options = endpoint_for_messages(session);
  options.reads_status = false;
  run(session, options);
}

void gid_index_one(Session& session) {
  session.expect_messages_of_two();
  Endpoint::Options options = endpoint_for_messages(session);
  options.gid_index = 1;
  run(session, options);
}

}  // namespace railyard::faulty
