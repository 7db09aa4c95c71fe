// One open device: its objects, its lock, its asynchronous events.
#pragma once

#include <infiniband/verbs.h>

#include <memory>
#include <vector>

#include "device/attachment.h"
#include "device/event_pipe.h"
#include "device/memory_table.h"
#include "device/spin_lock.h"

namespace railyard::sim {

class CompletionQueue;
class QueuePair;
class SharedReceiveQueue;

struct ProtectionDomain : ibv_pd {};
struct MemoryRegion : ibv_mr {};

using layout::Resource;

// The extended context that ibv_open_device() returns the inner part of.
class Context : public verbs_context {
 public:
  // Opens device `device` of the fabric: waits, fails (nullptr, errno) or not, as the profile says
  // when all its contexts are open.
  static Context* open(Attachment& attachment, uint32_t device, ibv_device* face);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  static Context& from(ibv_context* face) { return *static_cast<Context*>(verbs_get_ctx(face)); }
  ibv_context* face() { return &context; }

  Attachment& attachment() const { return attachment_; }
  const Segment& segment() const { return attachment_.segment(); }
  const fabric::Profile& profile() const { return segment().profile(); }
  layout::Context& record() const { return segment().context(record_index_); }
  uint32_t record_index() const { return record_index_; }
  uint32_t device_index() const { return device_; }
  uint32_t port_index() const { return segment().device(device_).port; }

  // Takes one of what the device has a limited number of, over all its contexts; 0 or an errno.
  int take(Resource resource);
  void give_back(Resource resource);

  // What the helper does for a program that is not polling.
  struct Duties {
    bool worked = false;
    bool timer = false;  // something changes with time alone, and somebody waits for it
    bool watch = false;  // somebody waits for a peer that might die
  };
  Duties attend();

  // Settles everything that has happened; returns whether anything had. Under the lock.
  bool progress_all();

  // Whether regions or queue pairs still belong to a domain. Under the lock.
  bool domain_in_use(const ibv_pd* domain) const;

  // Queues an asynchronous event about a queue pair, a completion queue or (nullptr) the port.
  void raise(ibv_event_type type, void* element);
  // Fails the queue pairs of overrun completion queues, as soon as nobody is working on them. Under
  // the lock.
  void fail_later();
  // Blocks unless the program made the descriptor non-blocking; 0, or -1 and errno.
  int get_async_event(ibv_async_event* event) const;

  SpinLock lock;  // guards all below and the objects themselves
  MemoryTable regions{*this};
  std::vector<QueuePair*> queue_pairs;
  // Others' XRC receivers, whose messages may be for shared receive queues of this context.
  std::vector<std::unique_ptr<QueuePair>> visited;
  std::vector<CompletionQueue*> completion_queues;
  std::vector<SharedReceiveQueue*> shared_queues;
  uint32_t extended_queues = 0;                    // of those, XRC's
  const CompletionQueue* latest_polled = nullptr;  // it may be gone
  // Looks anew for receivers to visit: a shared receive queue or a queue pair has come or gone
  // here.
  void look_for_receivers() { sharing_epoch_ = 0; }

 private:
  Context(Attachment& attachment, uint32_t device, uint32_t record_index, ibv_device* face);
  void watch_port();
  void fail_overrun();
  void find_receivers();

  Attachment& attachment_;
  uint32_t device_;
  uint32_t record_index_;
  EventPipe events_;
  uint32_t topology_epoch_ = 0;
  uint32_t sharing_epoch_ = 0;  // of the fabric, when `visited` was found; 0: never
  bool port_active_ = false;
  bool failed_ = false;
  bool overrun_ = false;  // of a completion queue, and its queue pairs do not know yet
};

}  // namespace railyard::sim
