// What a rank holds: open devices, queue pairs, and the memory of requests under way.
#pragma once

#include <fcntl.h>
#include <infiniband/verbs.h>
#include <poll.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "wire.h"

namespace railyard::fuzz {

inline constexpr size_t kArenaBytes = size_t{96} << 20;
inline constexpr uint8_t kUntouched = 0xee;
inline constexpr uint32_t kQueueKey = 0x1234;
inline constexpr size_t kMargin = 64;  // watched bytes behind each piece

inline uint8_t* map_memory(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("mmap");
  return static_cast<uint8_t*>(memory);
}

inline constexpr int kAllAccess = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
                                  IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;

// InfiniBand specification, 10.2.5: a request's queue key whose highest bit is set stands for its
// queue pair's own.
inline uint32_t queue_key(Key key) {
  if (key == Key::bound) return 0x80000000 | ~kQueueKey;
  return opens(key) ? kQueueKey : kQueueKey + 1;
}

template <typename T>
T* need(T* made, const char* what) {
  if (!made) throw std::runtime_error(std::string(what) + ": " + strerror(errno));
  return made;
}

// A completion queue, and a channel if it has one. A queue that was empty when it was armed wakes
// its channel before a completion can be seen in it.
class Queue {
 public:
  Queue(ibv_context* context, bool with_channel)
      : channel_(with_channel ? need(ibv_create_comp_channel(context), "ibv_create_comp_channel")
                              : nullptr),
        queue_(need(ibv_create_cq(context, 4096, nullptr, channel_, 0), "ibv_create_cq")) {}

  ibv_cq* get() const { return queue_; }

  // How many were found; negative: an errno, ETIME when a completion came without its event.
  int poll(ibv_wc* found, int room) {
    int count = ibv_poll_cq(queue_, room, found);
    if (!channel_) return count;
    if (count > 0 && armed_ && !woken()) return -ETIME;
    if (count != 0 || armed_) return count;
    if (int error = ibv_req_notify_cq(queue_, 0)) return -error;
    count = ibv_poll_cq(queue_, room, found);
    armed_ = count == 0;  // what was found came before, or since: there may be an event or none
    return count;
  }

 private:
  bool woken() {
    constexpr int kPatienceMs = 20'000;
    pollfd waits{channel_->fd, POLLIN, 0};
    if (::poll(&waits, 1, kPatienceMs) != 1) return false;
    ibv_cq* which = nullptr;
    void* context = nullptr;
    if (ibv_get_cq_event(channel_, &which, &context) != 0 || which != queue_) return false;
    ibv_ack_cq_events(queue_, 1);
    armed_ = false;
    return true;
  }

  ibv_comp_channel* channel_;
  ibv_cq* queue_;
  bool armed_ = false;
};

// An open device: two protection domains, and the arena that requests take their pieces from.
struct Device {
  ibv_context* context;
  ibv_pd* domain;
  ibv_pd* foreign;
  ibv_xrcd* own_domain;          // of XRC, where that is offered
  ibv_xrcd* common_domain;       // of all processes of the node
  std::unique_ptr<Queue> queue;  // of all who have none of their own
  uint32_t keys[kKeys];

  // `domain_name` is a descriptor of the file that names the common domain.
  Device(int index, uint8_t* arena, int domain_name) {
    int count = 0;
    ibv_device** list = need(ibv_get_device_list(&count), "ibv_get_device_list");
    if (index >= count) throw std::runtime_error("no such device");
    context = need(ibv_open_device(list[index]), "ibv_open_device");
    ibv_free_device_list(list);
    domain = need(ibv_alloc_pd(context), "ibv_alloc_pd");
    foreign = need(ibv_alloc_pd(context), "ibv_alloc_pd");
    ibv_xrcd_init_attr wanted{IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS, -1, O_CREAT};
    own_domain = ibv_open_xrcd(context, &wanted);
    wanted.fd = domain_name;
    common_domain = ibv_open_xrcd(context, &wanted);
    queue = std::make_unique<Queue>(context, false);
    auto key = [&](ibv_pd* of, int access) {
      return need(ibv_reg_mr(of, arena, kArenaBytes, access), "ibv_reg_mr");
    };
    keys[int(Key::good)] = keys[int(Key::outside)] = key(domain, IBV_ACCESS_LOCAL_WRITE)->lkey;
    keys[int(Key::read_only)] = key(domain, 0)->lkey;
    keys[int(Key::foreign)] = key(foreign, IBV_ACCESS_LOCAL_WRITE)->lkey;
    ibv_mr* gone = key(domain, IBV_ACCESS_LOCAL_WRITE);
    keys[int(Key::stale)] = gone->lkey;
    ibv_dereg_mr(gone);
  }
};

// An XRC receiver and its shared receive queue, whose completions go to `completions`, or one of
// them; or a sender.
struct Extended {
  ibv_qp* pair;
  ibv_srq* shared;
};
Extended make_extended(Device& own, const Command& command, uint32_t pieces, ibv_cq* completions,
                       ibv_qp_cap& granted);
// A share in a receiver of the node's common domain.
ibv_qp* open_receiver(Device& own, uint32_t number);

// The key of a memory window over the first half of a connection's memory. It is bound through a
// queue pair that talks to itself: a window of type 1 belongs to its protection domain.
uint32_t bind_window(Device& own, uint8_t* memory);

struct Slot {
  Device* device = nullptr;
  ibv_qp* pair = nullptr;
  ibv_srq* shared = nullptr;
  std::unique_ptr<Queue> queue;
  ibv_mr* region = nullptr;  // of Key::good
  EndPlan end{};
  ibv_qp_type type{};
  ibv_ah* address = nullptr;  // of datagrams: the peer's
  uint32_t peer = 0;          // and its queue pair
  uint32_t peer_shared = 0;   // of XRC: the peer's shared receive queue
  uint8_t* window = nullptr;
  uint32_t keys[kKeys] = {};

  bool datagrams() const { return type == IBV_QPT_UD; }
  bool extended() const { return type == IBV_QPT_XRC_SEND || type == IBV_QPT_XRC_RECV; }
};

// The pieces of a request until it is completed.
struct Posted {
  uint8_t* at[kMostPieces];
  uint32_t bytes[kMostPieces];
  uint32_t pieces;
  uint32_t header;  // bytes before the payload
  bool filled;      // by the completion: a receive, a read, an atomic operation
};

}  // namespace railyard::fuzz
