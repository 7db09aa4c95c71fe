// The calls by which a program makes and ends connections.
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "cm/manager.h"

namespace railyard::cm {

namespace {

constexpr long kAttemptNs = 5'000'000;
constexpr int kAttemptsWithoutListener = 40;  // 0.2 s
constexpr int kAttemptsWithListener = 4000;   // 20 s, as the kernel's CM gives up

}  // namespace

uint32_t random_psn() {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return static_cast<uint32_t>(random()) & 0xffffff;
}

int Manager::bind(uint32_t number, const Address& address) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (!address.known()) return EAFNOSUPPORT;
  if (id->stage != Stage::idle) return EINVAL;
  Address held = address;
  int socket = hold(home_.segment.name(), id->port_space, held);
  if (socket < 0) return errno;
  if (!address.wildcard()) {
    if (int error = acquire(*id)) return ::close(socket), error;
  }
  id->socket = socket;
  id->source = held;
  id->sign = tell_node(home_.segment.name(), id->port_space, held, home_.node);
  id->stage = Stage::bound;
  return 0;
}

int Manager::resolve_address(uint32_t number, const Address& source, const Address& destination) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (!destination.known()) return EAFNOSUPPORT;
  if (id->stage != Stage::idle && id->stage != Stage::bound) return EINVAL;
  if (id->stage == Stage::idle) {
    Address held = source.known() ? source : destination.loopback();
    id->socket = hold(home_.segment.name(), id->port_space, held);
    if (id->socket < 0) return errno;
    id->source = held;
  }
  id->destination = destination;
  look_for_peer(*id);
  if (int error = acquire(*id)) {
    id->stage = Stage::bound;
    push(*id, kAddressError, -error);
    return 0;
  }
  if (id->source.wildcard()) {
    uint16_t port = id->source.port();
    id->source = destination.loopback();
    id->source.set_port(port);
  }
  id->stage = Stage::address_known;
  push(*id, kAddressResolved);
  return 0;
}

int Manager::resolve_route(uint32_t number) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (id->stage != Stage::address_known) return EINVAL;
  id->stage = Stage::route_known;
  push(*id, kRouteResolved);
  return 0;
}

int Manager::set_path(uint32_t number) { return resolve_route(number); }

int Manager::listen(uint32_t number, int backlog) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (id->stage == Stage::idle) {
    Address any = Address().loopback();
    sockaddr_in wildcard{};
    wildcard.sin_family = AF_INET;
    any = Address::from(&wildcard, sizeof wildcard);
    id->socket = hold(home_.segment.name(), id->port_space, any);
    if (id->socket < 0) return errno;
    id->source = any;
    id->stage = Stage::bound;
  }
  if (id->stage != Stage::bound && id->stage != Stage::listening) return EINVAL;
  constexpr int kLongest = 1024;  // the kernel's max_backlog
  if (::listen(id->socket, backlog <= 0 ? kLongest : std::min(backlog, kLongest)) != 0)
    return errno;
  if (id->stage == Stage::bound) {
    id->stage = Stage::listening;
    watch(*id);
  }
  return 0;
}

Message Manager::message(const Identifier& id, MessageKind kind,
                         const rdma_ucm_conn_param& from) const {
  Message result{};
  result.kind = kind;
  result.queue_pair = from.qp_num;
  result.queue_key = from.qkey != 0 ? from.qkey : kDatagramQueueKey;
  result.first_psn = id.first_psn;
  result.port = id.port;
  result.source = id.source;
  result.destination = id.destination;
  result.responder_resources = from.responder_resources;
  result.initiator_depth = from.initiator_depth;
  result.retry_count = from.retry_count;
  result.rnr_retry_count = from.rnr_retry_count;
  result.flow_control = from.flow_control;
  result.shared_receive = from.srq;
  result.private_bytes = from.private_data_len;
  memcpy(result.private_data, from.private_data, from.private_data_len);
  return result;
}

int Manager::send(const Identifier& id, const Message& packet) const {
  return ::send(id.socket, &packet, sizeof packet, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

int Manager::connect(uint32_t number, const rdma_ucm_conn_param& parameters) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (id->stage != Stage::route_known) return EINVAL;
  uint8_t room = id->datagram() ? kDatagramRequestPrivate : kRequestPrivate;
  if (parameters.private_data_len > room) return EINVAL;
  id->responder_resources = parameters.responder_resources;
  id->initiator_depth = parameters.initiator_depth;
  id->retry_count = parameters.retry_count & 7;
  id->rnr_retry_count = parameters.rnr_retry_count & 7;
  id->request = message(*id, MessageKind::request, parameters);
  id->stage = Stage::seeking;
  seek(*id);
  return 0;
}

// A request is not lost at once when nobody takes it: on a wire it is under way for a while, in
// which a listener may come (ib_send_lat -R relies on it), and it is sent again where a backlog is
// full.
void Manager::seek(Identifier& id) {
  int error = reach(id.socket, home_.segment.name(), id.port_space, id.destination);
  bool nobody = error == ECONNREFUSED;
  ++id.attempts;
  if (error == 0) {
    stop_timer(id);
    id.stage = Stage::requesting;
    send(id, *id.request);  // if the peer is gone, its end says so
    id.request.reset();
    return watch(id);
  }
  if ((nobody && id.attempts < kAttemptsWithoutListener) ||
      (error == EAGAIN && id.attempts < kAttemptsWithListener)) {
    if (id.timer >= 0) return;
    id.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    itimerspec period{{0, kAttemptNs}, {0, kAttemptNs}};
    if (id.timer >= 0 && timerfd_settime(id.timer, 0, &period, nullptr) == 0) return watch(id);
  }
  stop_timer(id);
  id.stage = Stage::over;
  if (nobody && !id.datagram()) return push(id, kRejected, kInvalidServiceId);
  push(id, kUnreachable, nobody ? static_cast<int>(kServiceNotSupported) : -ETIMEDOUT);
}

int Manager::accept(uint32_t number, uint64_t uid, const rdma_ucm_conn_param& parameters) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (!parameters.valid) {  // the active side has moved its queue pair: go
    if (id->stage != Stage::replied) return EINVAL;
    id->stage = Stage::connected;
    send(*id, message(*id, MessageKind::ready, {}));
    return 0;
  }
  if (id->stage != Stage::requested) return id->stage == Stage::over ? ECONNRESET : EINVAL;
  uint8_t room = id->datagram() ? kDatagramReplyPrivate : kReplyPrivate;
  if (parameters.private_data_len > room) return EINVAL;
  id->responder_resources = parameters.responder_resources;
  id->initiator_depth = parameters.initiator_depth;
  id->rnr_retry_count = parameters.rnr_retry_count & 7;
  id->uid = uid;
  send(*id, message(*id, MessageKind::reply, parameters));  // if the peer is gone, its end says so
  if (id->datagram()) {
    hang_up(*id);
    id->stage = Stage::connected;
  } else {
    id->stage = Stage::replying;
  }
  return 0;
}

int Manager::reject(uint32_t number, const void* private_data, uint8_t private_bytes) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (id->stage == Stage::over) return 0;
  if (id->stage != Stage::requested && id->stage != Stage::replied) return EINVAL;
  if (private_bytes > (id->datagram() ? kDatagramReplyPrivate : kRefusalPrivate)) return EINVAL;
  Message refusal = message(*id, MessageKind::refusal, {});
  refusal.reason = id->datagram() ? kServiceRejected : kConsumerDefined;
  refusal.private_bytes = private_bytes;
  memcpy(refusal.private_data, private_data, private_bytes);
  send(*id, refusal);
  hang_up(*id);
  id->stage = Stage::over;
  return 0;
}

// The peer sees the end of the socket; this side need not wait for it.
int Manager::disconnect(uint32_t number) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (id->datagram() || id->stage < Stage::seeking) return EINVAL;
  if (id->stage == Stage::over) return 0;
  hang_up(*id);
  id->stage = Stage::over;
  push(*id, kDisconnected);
  return 0;
}

// The program has seen data before the confirmation.
int Manager::notify(uint32_t number, uint32_t event) {
  std::lock_guard lock(mutex_);
  Identifier* id = find(number);
  if (!id) return ENOENT;
  if (event != IBV_EVENT_COMM_EST) return EINVAL;
  if (id->stage == Stage::replying) {
    id->stage = Stage::connected;
    push(*id, kEstablished);
  }
  return 0;
}

}  // namespace railyard::cm
