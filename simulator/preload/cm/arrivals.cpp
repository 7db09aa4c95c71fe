// What arrives from other processes, and the events it makes.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cm/manager.h"

namespace railyard::cm {

namespace {

bool same_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

// The receiver of a message is shown all the room that there is for private data, as on InfiniBand.
void fill(rdma_ucm_conn_param& shown, const Message& from, uint8_t room) {
  shown.qp_num = from.queue_pair;
  shown.qkey = from.queue_key;
  memcpy(shown.private_data, from.private_data, from.private_bytes);
  shown.private_data_len = room;
  shown.srq = from.shared_receive;
  // What the peer asks for is what this side grants.
  shown.responder_resources = from.initiator_depth;
  shown.initiator_depth = from.responder_resources;
  shown.flow_control = from.flow_control;
  shown.retry_count = from.retry_count;
  shown.rnr_retry_count = from.rnr_retry_count;
}

void fill(rdma_ucm_ud_param& shown, const Message& from, uint8_t room) {
  shown.qp_num = from.queue_pair;
  shown.qkey = from.queue_key;
  memcpy(shown.private_data, from.private_data, from.private_bytes);
  shown.private_data_len = room;
}

}  // namespace

void Manager::pump(int channel) {
  epoll_event ready[64];
  int count = epoll_wait(channel, ready, 64, 0);
  for (int i = 0; i < count; ++i) {
    Identifier* id = find(ready[i].data.u32);  // 0 is the bell
    if (!id || id->socket < 0) continue;
    if (id->stage == Stage::seeking) {
      uint64_t expirations;
      if (read(id->timer, &expirations, sizeof expirations) > 0) seek(*id);
    } else if (id->stage == Stage::listening) {
      take_arrivals(*id);
    } else {
      take_message(*id);
    }
  }
}

void Manager::take_arrivals(Identifier& listener) {
  uint32_t number = listener.number;
  int listening = listener.socket;
  for (;;) {
    int socket = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) return;
    if (!same_user(socket)) {
      ::close(socket);
      continue;
    }
    const Identifier& parent = *find(number);
    Identifier id;
    id.number = next_number_++;
    id.port_space = parent.port_space;
    id.type = parent.type;
    id.channel = parent.channel;
    id.listener = number;
    id.socket = socket;
    id.stage = Stage::arriving;
    Identifier& kept = identifiers_[id.number] = id;
    watch(kept);
    take_message(kept);
  }
}

void Manager::take_message(Identifier& id) {
  Message packet;
  ssize_t size = recv(id.socket, &packet, sizeof packet, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size != sizeof packet) return take_end(id);
  switch (packet.kind) {
    case MessageKind::request:
      if (id.stage == Stage::arriving) take_request(id, packet);
      break;
    case MessageKind::reply:
      if (id.stage == Stage::requesting) take_reply(id, packet);
      break;
    case MessageKind::ready:
      if (id.stage == Stage::replying) {
        id.stage = Stage::connected;
        rdma_ucm_event_resp shown = event(id, kEstablished);
        shown.param.conn.private_data_len = kReadyPrivate;
        push(id, shown);
      }
      break;
    case MessageKind::refusal:
      take_refusal(id, packet);
      break;
  }
}

void Manager::take_request(Identifier& id, const Message& request) {
  const Identifier* listener = find(id.listener);
  std::optional<int32_t> port = port_towards(request.port);
  if (!listener || !port) return destroy(id);
  id.port = *port;
  id.stage = Stage::requested;
  id.source = request.destination;
  id.destination = request.source;
  id.peer_port = request.port;
  id.peer_queue_pair = request.queue_pair;
  id.peer_first_psn = request.first_psn;
  id.responder_resources = request.initiator_depth;
  id.initiator_depth = request.responder_resources;
  id.retry_count = request.retry_count & 7;
  id.rnr_retry_count = request.rnr_retry_count & 7;

  rdma_ucm_event_resp shown = event(id, kConnectRequest);
  shown.uid = listener->uid;
  if (id.datagram()) {
    fill(shown.param.ud, request, kDatagramRequestPrivate);
    address_of_peer(id, &shown.param.ud.ah_attr);
  } else {
    fill(shown.param.conn, request, kRequestPrivate);
  }
  // It counts as the listener's: the new identifier has no name yet.
  enqueue(id.channel, {id.listener, 0, shown});
}

void Manager::take_reply(Identifier& id, const Message& reply) {
  id.peer_port = reply.port;
  id.peer_queue_pair = reply.queue_pair;
  id.peer_first_psn = reply.first_psn;
  if (id.datagram()) {
    hang_up(id);
    id.stage = Stage::connected;
    rdma_ucm_event_resp shown = event(id, kEstablished);
    fill(shown.param.ud, reply, kDatagramReplyPrivate);
    address_of_peer(id, &shown.param.ud.ah_attr);
    return push(id, shown);
  }
  id.stage = Stage::replied;
  id.responder_resources = reply.initiator_depth;
  id.initiator_depth = reply.responder_resources;
  rdma_ucm_event_resp shown = event(id, kConnectResponse);
  fill(shown.param.conn, reply, kReplyPrivate);
  push(id, shown);
}

void Manager::take_refusal(Identifier& id, const Message& refusal) {
  bool active = id.stage == Stage::requesting;
  if (id.stage == Stage::arriving) return destroy(id);
  hang_up(id);
  id.stage = Stage::over;
  if (id.datagram()) {
    if (!active) return;
    rdma_ucm_event_resp shown = event(id, kUnreachable, static_cast<int>(refusal.reason));
    fill(shown.param.ud, refusal, kDatagramReplyPrivate);
    return push(id, shown);
  }
  rdma_ucm_event_resp shown = event(id, kRejected, static_cast<int>(refusal.reason));
  fill(shown.param.conn, refusal, kRefusalPrivate);
  push(id, shown);
}

// The peer disconnected, or died.
void Manager::take_end(Identifier& id) {
  Stage before = id.stage;
  if (before == Stage::arriving) return destroy(id);
  hang_up(id);
  id.stage = Stage::over;
  if (before == Stage::connected) {
    push(id, kDisconnected);
  } else {
    push(id, kUnreachable, -ETIMEDOUT);
  }
}

}  // namespace railyard::cm
