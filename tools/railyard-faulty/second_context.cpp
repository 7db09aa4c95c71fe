#include "railyard-faulty/messages.h"
#include "railyard-faulty/variants.h"

namespace railyard::faulty {
namespace {

void run_sub_group(Session& session, SideChannel& channel) {
  Link link(session, channel, 1 - session.place.rank, endpoint_for_messages(session));
  move_messages(session, channel, link.rail(0), {});
}

}  // namespace

void second_context(Session& session) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  // The parent group's context, held while the sub-group's link opens the device again.
  const ContextPointer parent = open_device(session.rails_to(1 - session.place.rank).front());
  run_sub_group(session, channel);
}

void one_context(Session& session) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  run_sub_group(session, channel);
}

}  // namespace railyard::faulty
