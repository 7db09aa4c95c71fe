// The connection manager of one process: the kernel's part, carried out in the process itself.
//
// An event channel is an epoll descriptor over the sockets of its identifiers and a bell that is
// set while events wait, so a program may poll it. There is no thread: what arrives is taken in
// when the program asks for an event, and every message that arrives makes one. The protocol
// between processes is in message.h.
#pragma once

#include <rdma/rdma_user_cm.h>

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include "cm/event_kind.h"
#include "cm/identifier.h"
#include "home.h"

namespace railyard::cm {

// Thread-safe. Functions return 0 or an errno unless they say otherwise; only get_event() blocks.
class Manager {
 public:
  static Manager& of(const preload::Home& home);

  // The channel's descriptor, or -1 with errno. Whoever opened it closes the descriptor after
  // close_channel().
  int open_channel();
  void close_channel(int channel);

  int create(int channel, const rdma_ucm_create_id& command, uint32_t* number);
  int destroy(uint32_t number, uint32_t* events_reported);
  int bind(uint32_t number, const Address& address);
  int resolve_address(uint32_t number, const Address& source, const Address& destination);
  int resolve_route(uint32_t number);
  int query_route(uint32_t number, rdma_ucm_query_route_resp* out);
  int query_address(uint32_t number, rdma_ucm_query_addr_resp* out);
  int query_gid(uint32_t number, rdma_ucm_query_addr_resp* out);
  int listen(uint32_t number, int backlog);
  int connect(uint32_t number, const rdma_ucm_conn_param& parameters);
  int accept(uint32_t number, uint64_t uid, const rdma_ucm_conn_param& parameters);
  int reject(uint32_t number, const void* private_data, uint8_t private_bytes);
  int disconnect(uint32_t number);
  int init_queue_pair(uint32_t number, uint32_t state, ib_uverbs_qp_attr* out);
  // Waits for an event unless the channel is non-blocking (EAGAIN); a cancellation point.
  int get_event(int channel, rdma_ucm_event_resp* out);
  int set_path(uint32_t number);  // the program brings its own route
  int notify(uint32_t number, uint32_t event);
  int join(uint32_t number, uint64_t uid, const Address& group, uint32_t* membership);
  int leave(uint32_t membership, uint32_t* events_reported);
  int migrate(uint32_t number, int to_channel, uint32_t* events_reported);
  bool has(uint32_t number);

 private:
  struct Event {
    uint32_t counts_for;  // the identifier whose events_reported it raises
    uint32_t membership;  // or 0
    rdma_ucm_event_resp shown;
  };
  struct Channel {
    int bell;
    std::deque<Event> events;
  };

  explicit Manager(const preload::Home& home) : home_(home) {}

  Identifier* find(uint32_t number);
  void destroy(Identifier& id);
  int acquire(Identifier& id);  // a device for it
  void look_for_peer(Identifier& id);
  std::optional<int32_t> port_towards(int32_t peer_port) const;

  void watch(const Identifier& id) const;
  void unwatch(const Identifier& id) const;
  void hang_up(Identifier& id);
  void stop_timer(Identifier& id);
  void seek(Identifier& id);
  int send(const Identifier& id, const Message& message) const;
  Message message(const Identifier& id, MessageKind kind, const rdma_ucm_conn_param& from) const;

  // Takes in what has arrived on a channel's sockets.
  void pump(int channel);
  void take_arrivals(Identifier& listener);
  void take_message(Identifier& id);
  void take_request(Identifier& id, const Message& request);
  void take_reply(Identifier& id, const Message& reply);
  void take_refusal(Identifier& id, const Message& refusal);
  void take_end(Identifier& id);

  rdma_ucm_event_resp event(const Identifier& id, uint32_t kind, int status = 0) const;
  void push(const Identifier& id, const rdma_ucm_event_resp& shown);
  void push(const Identifier& id, uint32_t kind, int status = 0) {
    push(id, event(id, kind, status));
  }
  void enqueue(int channel, const Event& event);
  void ring(Channel& channel) const;
  void address_of_peer(const Identifier& id, ib_uverbs_ah_attr* out) const;
  uint8_t source_gid_index(int32_t port) const;

  const preload::Home& home_;
  std::mutex mutex_;
  uint32_t next_number_ = 1;
  std::map<uint32_t, Identifier> identifiers_;
  std::map<uint32_t, Membership> memberships_;
  std::map<int, Channel> channels_;
};

}  // namespace railyard::cm
