// A ring of two, whose left and right neighbour are the same rank on the same wire.
#include "railyard-faulty/messages.h"
#include "railyard-faulty/variants.h"

namespace railyard::faulty {
namespace {

struct Sides {
  Address left, right;
};

}  // namespace

// What is sent to the right arrives at the peer's right, while it is waited for at its left.
void both_neighbours(Session& session) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  const int peer = 1 - session.place.rank;
  const std::string device = session.rails_to(peer).front();
  const ContextPointer context = open_device(device);
  Endpoint::Options options = endpoint_for_messages(session);
  options.transport = session.transport(context.get());
  options.peer = peer;
  Endpoint left(context.get(), device, options), right(context.get(), device, options);
  const auto all = all_gather(channel, Sides{left.address(), right.address()}, session.place.ranks);
  left.connect(all[static_cast<size_t>(peer)].left);
  right.connect(all[static_cast<size_t>(peer)].right);
  channel.barrier();
  const bool sends = session.work.operations.front().from == session.place.rank;
  move_messages(session, channel, sends ? right : left, {});
}

}  // namespace railyard::faulty
