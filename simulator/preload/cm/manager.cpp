// Channels, identifiers and events; the calls of a connection are in connection.cpp, what arrives
// in arrivals.cpp, what is answered from the fabric in description.cpp.
#include "cm/manager.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace railyard::cm {

Manager& Manager::of(const preload::Home& home) {
  static auto& manager =
      *new Manager(home);  // never destroyed: programs may close channels at exit
  return manager;
}

int Manager::open_channel() {
  int channel = epoll_create1(EPOLL_CLOEXEC);
  if (channel < 0) return -1;
  int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  if (bell < 0 || epoll_ctl(channel, EPOLL_CTL_ADD, bell, &wanted) != 0) {
    int error = errno;
    if (bell >= 0) ::close(bell);
    ::close(channel);
    return errno = error, -1;
  }
  std::lock_guard lock(mutex_);
  channels_[channel] = {bell, {}};
  return channel;
}

void Manager::close_channel(int channel) {
  std::lock_guard lock(mutex_);
  auto found = channels_.find(channel);
  if (found == channels_.end()) return;
  std::vector<uint32_t> gone;
  for (auto& [number, id] : identifiers_) {
    if (id.channel == channel) gone.push_back(number);
  }
  for (uint32_t number : gone) {
    if (Identifier* id = find(number)) destroy(*id);
  }
  ::close(found->second.bell);
  channels_.erase(found);
}

Identifier* Manager::find(uint32_t number) {
  auto found = identifiers_.find(number);
  return found == identifiers_.end() ? nullptr : &found->second;
}

bool Manager::has(uint32_t number) {
  std::lock_guard lock(mutex_);
  return find(number) != nullptr;
}

int Manager::create(int channel, const rdma_ucm_create_id& command, uint32_t* number) {
  std::lock_guard lock(mutex_);
  Identifier id;
  id.number = *number = next_number_++;
  id.uid = command.uid;
  id.port_space = command.ps;
  // Programs of before the type was part of the command leave it 0.
  bool datagrams = command.ps == RDMA_PS_UDP || command.ps == RDMA_PS_IPOIB;
  id.type = command.qp_type != 0 ? command.qp_type
                                 : static_cast<uint8_t>(datagrams ? IBV_QPT_UD : IBV_QPT_RC);
  id.channel = channel;
  identifiers_[id.number] = id;
  return 0;
}

int Manager::destroy(uint32_t number, uint32_t* events_reported) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  *events_reported = id->events_reported;
  destroy(*id);
  return 0;
}

void Manager::destroy(Identifier& doomed) {
  uint32_t number = doomed.number;
  if (doomed.stage == Stage::requesting || doomed.stage == Stage::requested ||
      doomed.stage == Stage::replying || doomed.stage == Stage::replied) {
    Message refusal = message(doomed, MessageKind::refusal, {});
    refusal.reason = doomed.datagram() ? kServiceRejected : kConsumerDefined;
    send(doomed, refusal);
  }
  hang_up(doomed);
  if (doomed.sign >= 0) ::close(doomed.sign);
  std::erase_if(memberships_, [&](auto& entry) { return entry.second.identifier == number; });
  // Events that nobody will see, and the requests in them that nobody can answer.
  std::vector<uint32_t> unseen;
  if (auto channel = channels_.find(doomed.channel); channel != channels_.end()) {
    std::erase_if(channel->second.events, [&](const Event& event) {
      if (event.counts_for != number) return event.shown.id == number;
      if (event.shown.id != number && event.membership == 0) unseen.push_back(event.shown.id);
      return true;
    });
    ring(channel->second);
  }
  for (auto& [other, id] : identifiers_) {
    if (id.listener == number && id.stage == Stage::arriving) unseen.push_back(other);
  }
  identifiers_.erase(number);
  for (uint32_t other : unseen) {
    if (Identifier* id = find(other)) destroy(*id);
  }
}

int Manager::migrate(uint32_t number, int to_channel, uint32_t* events_reported) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  auto target = channels_.find(to_channel);
  if (!id || target == channels_.end()) return ENOENT;
  auto source = channels_.find(id->channel);
  if (source != target) {
    unwatch(*id);
    id->channel = to_channel;
    watch(*id);
    if (source != channels_.end()) {
      auto& events = source->second.events;
      auto moved = std::stable_partition(events.begin(), events.end(), [&](const Event& event) {
        return event.counts_for != number;
      });
      target->second.events.insert(target->second.events.end(), moved, events.end());
      events.erase(moved, events.end());
      ring(source->second);
    }
    ring(target->second);
  }
  *events_reported = id->events_reported;
  return 0;
}

void Manager::watch(const Identifier& id) const {
  if (id.watched() < 0) return;
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  wanted.data.u32 = id.number;
  epoll_ctl(id.channel, EPOLL_CTL_ADD, id.watched(), &wanted);
}

// Closing is not enough: a child of fork() may keep the descriptor open.
void Manager::unwatch(const Identifier& id) const {
  if (id.watched() >= 0) epoll_ctl(id.channel, EPOLL_CTL_DEL, id.watched(), nullptr);
}

void Manager::stop_timer(Identifier& id) {
  if (id.timer < 0) return;
  unwatch(id);
  ::close(id.timer);
  id.timer = -1;
}

void Manager::hang_up(Identifier& id) {
  stop_timer(id);
  if (id.socket < 0) return;
  unwatch(id);
  ::close(id.socket);
  id.socket = -1;
}

rdma_ucm_event_resp Manager::event(const Identifier& id, uint32_t kind, int status) const {
  rdma_ucm_event_resp shown{};
  shown.uid = id.uid;
  shown.id = id.number;
  shown.event = kind;
  shown.status = static_cast<uint32_t>(status);
  return shown;
}

void Manager::push(const Identifier& id, const rdma_ucm_event_resp& shown) {
  if (id.uid == 0) return;  // not accepted: the program has no name for it
  enqueue(id.channel, {id.number, 0, shown});
}

void Manager::enqueue(int channel, const Event& event) {
  Channel& target = channels_.at(channel);
  target.events.push_back(event);
  ring(target);
}

// Sets the bell if there are events, and silences it if not.
void Manager::ring(Channel& channel) const {
  if (channel.events.empty()) {
    eventfd_t count;
    eventfd_read(channel.bell, &count);
  } else {
    eventfd_write(channel.bell, 1);
  }
}

int Manager::get_event(int channel, rdma_ucm_event_resp* out) {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (!channels_.count(channel)) return EBADF;
      pump(channel);
      Channel& own = channels_.at(channel);
      if (!own.events.empty()) {
        Event next = own.events.front();
        own.events.pop_front();
        ring(own);
        if (Identifier* id = find(next.counts_for)) ++id->events_reported;
        if (auto group = memberships_.find(next.membership); group != memberships_.end()) {
          ++group->second.events_reported;
        }
        *out = next.shown;
        return 0;
      }
    }
    if (fcntl(channel, F_GETFL) & O_NONBLOCK) return EAGAIN;
    pollfd waiting{channel, POLLIN, 0};
    if (poll(&waiting, 1, -1) < 0) return errno;
  }
}

}  // namespace railyard::cm
