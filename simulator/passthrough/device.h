// Devices that the process has open: their own tables, and what is in use of them.
#pragma once

#include <infiniband/verbs.h>

#include <atomic>
#include <cerrno>
#include <string>

#include "passthrough/rules.h"

namespace railyard::passthrough {

// One per device's name, for the life of the process.
struct Device {
  std::string name;
  DeviceSeen* seen = nullptr;  // on the page, or of nobody's
  std::atomic<int64_t> in_use[static_cast<size_t>(Resource::count)] = {};
  // What a "used-up" limit found when it took hold, by rule; -1: not yet.
  std::atomic<int64_t> found[kMostRules];

  Device() {
    for (auto& each : found) each.store(-1);
  }
  // Somebody asked for more than there are.
  void note_refused(Resource resource);
  void note_contexts() {
    seen->contexts.store(static_cast<uint32_t>(used(Resource::contexts).load()));
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
inline const char* name_of_device(const ibv_context* context) {
  return device_of(context).name.c_str();
}
// Of verbs that return an errno, or -1 with errno set.
inline int errno_of(int result) { return result > 0 ? result : result < 0 ? errno : 0; }

// Takes a context that was just opened: puts our tables in front of its own.
void take(ibv_context* context, Device& device);
void give_back(ibv_context* context);

// What the rules say about a call that is to begin: the errno that it fails with, 0: it does not.
// Delays and blocks have passed by then.
int enter(Point point, const char* device);

// The rule that tells this row of the GID table, nullptr: none. `asked`: the program asks for it,
// and the rule counts that.
const Rule* told_row(const char* device, int index, bool asked);

// While it lives, the page says that the process is in this verb.
class Inside {
 public:
  explicit Inside(Point point);
  ~Inside();
  Inside(const Inside&) = delete;

 private:
  uint32_t before_;
};

// Whether no port of the device is up, as far as an open context of it tells.
bool port_is_down(const Device& device);

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
