// Mistakes of start-up and of leaving: splits, sockets, threads that are joined.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "railyard-faulty/messages.h"
#include "railyard-faulty/variants.h"
#include "railyard-faulty/worker_error.h"

namespace railyard::faulty {
namespace {

// A split with the last rank in a colour of its own. `alone_leaves`: it goes before the others have
// finished exchanging.
void split(Session& session, bool alone_leaves) {
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  const bool alone = session.place.rank == session.place.ranks - 1;
  all_gather(channel, alone ? 1 : 0, session.place.ranks);
  session.progress.connected();
  if (alone && alone_leaves) return;
  all_gather(channel, session.place.rank, session.place.ranks);
}

// A listening socket on 127.0.0.1; port 0: one that the system chooses.
class Listener {
 public:
  explicit Listener(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons(static_cast<uint16_t>(port));
    if (bind(socket_, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
        listen(socket_, 4) != 0) {
      error_number_ = errno;
    }
  }
  ~Listener() { close(socket_); }
  Listener(const Listener&) = delete;

  int error_number() const { return error_number_; }
  int port() const {
    sockaddr_in where{};
    socklen_t bytes = sizeof where;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&where), &bytes);
    return ntohs(where.sin_port);
  }

 private:
  int socket_;
  int error_number_ = 0;
};

constexpr int kPortsApart = 1000;

// Ranks 0 and 1 are each the first of a parent group, whose ports follow each other; each makes a
// sub-group, the first with colour 1, the second with colour 0.
void make_sub_groups(Session& session, bool derive) {
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  int free_port = 0;
  if (session.place.rank == 0) free_port = Listener(0).port();
  const int parent =
      all_gather(channel, free_port, session.place.ranks)[0] % 30000 + 20000 + session.place.rank;
  const int colour = 1 - session.place.rank;
  const Listener sub_group(derive ? parent + kPortsApart + colour : 0);
  session.progress.connected();
  if (sub_group.error_number() != 0) {
    throw WorkerError({.code = "side-channel-lost",
                       .operation = "split",
                       .device = "",
                       .error_number = sub_group.error_number(),
                       .status = "",
                       .message = std::string("the port of the sub-group cannot be listened at: ") +
                                  std::strerror(sub_group.error_number())});
  }
  channel.barrier();
}

// The messages of the workload, once the ranks have met by a side channel of these habits.
void move_after_meeting(Session& session, SideChannel::Habits habits) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator, habits);
  Link link(session, channel, 1 - session.place.rank, endpoint_for_messages(session));
  move_messages(session, channel, link.rail(0), {});
}

}  // namespace

void branch_early(Session& session) { split(session, true); }
void exchange_first(Session& session) { split(session, false); }
void derived_port(Session& session) { make_sub_groups(session, true); }
void system_port(Session& session) { make_sub_groups(session, false); }

void no_retry(Session& session) { move_after_meeting(session, {.retries = false}); }
void end_unread(Session& session) { move_after_meeting(session, {.sees_end = false}); }

void joins_on_exit(Session& session) {
  session.expect_messages_of_two();
  SideChannel channel(session.place.rank, session.place.ranks, session.place.coordinator);
  Link link(session, channel, 1 - session.place.rank, endpoint_for_messages(session));
  move_messages(session, channel, link.rail(0), {});
  // The thread that a destructor joins: it reads until the peer closes, and the peer does the same.
  channel.read_until_closed();
}

}  // namespace railyard::faulty
