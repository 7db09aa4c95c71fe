// Devices that the process has open: their own tables, and what is in use of them.
#pragma once

#include <infiniband/verbs.h>

#include <atomic>
#include <string>

#include "passthrough/rules.h"

namespace railyard::passthrough {

// One per device's name, for the life of the process.
struct Device {
  std::string name;
  std::atomic<int64_t> in_use[static_cast<size_t>(Resource::count)] = {};
  // What a "used-up" limit found when it took hold, by rule; -1: not yet.
  std::atomic<int64_t> found[kMostRules];

  Device() {
    for (auto& each : found) each.store(-1);
  }
  std::atomic<int64_t>& used(Resource resource) { return in_use[static_cast<size_t>(resource)]; }
};

// One per open context; what the context's tables held before ours were put in.
struct OpenContext {
  std::atomic<ibv_context*> context{nullptr};
  Device* device = nullptr;
  decltype(ibv_context_ops::post_send) post_send = nullptr;
  decltype(ibv_context_ops::post_recv) post_recv = nullptr;
  decltype(ibv_context_ops::poll_cq) poll_cq = nullptr;
  decltype(verbs_context::query_port) query_port = nullptr;
  decltype(verbs_context::create_qp_ex) create_qp_ex = nullptr;
  decltype(verbs_context::create_cq_ex) create_cq_ex = nullptr;
};

// Thread-safe. A context that is not ours is an error of the program; the answer is then a device
// without a name and without tables.
OpenContext& opened(const ibv_context* context);
Device& device_named(const std::string& name);
inline Device& device_of(const ibv_context* context) { return *opened(context).device; }

// Takes a context that was just opened: puts our tables in front of its own.
void take(ibv_context* context, Device& device);
void give_back(ibv_context* context);

// What the rules say about a call that is to begin; delays and blocks have passed by then.
struct Answer {
  int error = 0;              // the call fails with this errno
  const Rule* gid = nullptr;  // it tells this row
};
Answer enter(Point point, const char* device);

// While it lives, the page says that the process is in this verb.
class Inside {
 public:
  explicit Inside(Point point);
  ~Inside();
  Inside(const Inside&) = delete;

 private:
  uint32_t before_;
};

// Whether one more of a resource is refused: the errno, 0: no. `asked` is for the limits of one
// queue pair, `now` what is in use already.
int refusal(Device& device, Resource resource, int64_t asked = 1);

// Looks at the ports of all open devices, for the page.
void look_at_ports();

// The functions that stand in the tables.
int post_send(ibv_qp* pair, ibv_send_wr* requests, ibv_send_wr** bad);
int post_receive(ibv_qp* pair, ibv_recv_wr* requests, ibv_recv_wr** bad);
int poll(ibv_cq* queue, int count, ibv_wc* out);
int query_port_op(ibv_context* context, uint8_t port, ibv_port_attr* out, size_t bytes);
ibv_qp* create_qp_op(ibv_context* context, ibv_qp_init_attr_ex* wanted);
ibv_cq_ex* create_cq_op(ibv_context* context, ibv_cq_init_attr_ex* wanted);

}  // namespace railyard::passthrough
