#include "railyard-faulty/messages.h"
#include "railyard-faulty/variants.h"

namespace railyard::faulty {
namespace {

void run(Session& session, Posting posting) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  Link link(session, channel, 1 - session.place.rank, endpoint_for_messages(session));
  move_messages(session, channel, link.rail(0), posting);
}

}  // namespace

void late_receive(Session& session) { run(session, Posting::late); }
void early_receive(Session& session) { run(session, Posting::early); }

}  // namespace railyard::faulty
