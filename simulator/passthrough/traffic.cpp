// The data path, which programs reach through a context's table.
#include "passthrough/traffic.h"

#include <cerrno>

#include "passthrough/drops.h"
#include "passthrough/record.h"
#include "passthrough/watch.h"

namespace railyard::passthrough {

namespace {

bool drops(const char* device) {
  bool dropped = false;
  Rules& rules = Rules::instance();
  for (const Rule* rule : rules.at(Point::post_send)) {
    if (rule->deed == Deed::drop && rules.strikes(*rule, device)) dropped = true;
  }
  return dropped;
}

// One request by itself, as the rules count them.
int post_one(const OpenContext& ours, ibv_qp* pair, ibv_send_wr* request) {
  bool dropped = false;
  if (int error = enter_send(ours.device->name.c_str(), dropped)) return error;
  Drops& books = Drops::instance();
  if (dropped) {
    books.dropped(pair, *request);
    return 0;
  }
  ibv_send_wr alone = *request, *refused = nullptr;
  alone.next = nullptr;
  int error = ours.post_send(pair, &alone, &refused);
  if (error == 0 && books.possible()) books.posted(pair, *request);
  return error;
}

}  // namespace

int enter_send(const char* device, bool& dropped) {
  if (int error = enter(Point::post_send, device)) return error;
  Rules::instance().count_messages(1);
  dropped = Drops::instance().possible() && drops(device);
  return 0;
}

int enter_poll(const char* device) {
  return Rules::instance().at(Point::poll_cq).empty() ? 0 : enter(Point::poll_cq, device);
}

void alter(const ibv_context* context, const Device& device, ibv_wc& completion) {
  Rules& rules = Rules::instance();
  for (const Rule* rule : rules.at(Point::completion)) {
    if (!rules.strikes(*rule, device.name.c_str())) continue;
    if (rule->deed == Deed::status) completion.status = static_cast<ibv_wc_status>(rule->number);
  }
  Watch& watch = Watch::instance();
  if (watch.on()) watch.completed(context, *device.seen, completion);
  if (completion.status == IBV_WC_SUCCESS) return;
  if (completion.status != IBV_WC_WR_FLUSH_ERR) {
    device.seen->errors.fetch_add(1);
    device.seen->last_error.store(completion.status);
  }
  Line(device.name.c_str(), "completion")
      .add("status", completion.status)
      .add("number", completion.qp_num);
}

void note_poll(int found) {
  RulePage& page = Rules::instance().page();
  if (found > 0) {
    page.completed.fetch_add(static_cast<uint64_t>(found), std::memory_order_relaxed);
    return;
  }
  if (page.ports_asked.load(std::memory_order_relaxed) !=
      page.ports_answered.load(std::memory_order_relaxed)) {
    look_at_ports();
  }
  page.empty_polls.fetch_add(1, std::memory_order_relaxed);
}

int post_send(ibv_qp* pair, ibv_send_wr* requests, ibv_send_wr** bad) {
  const OpenContext& ours = opened(pair->context);
  Rules& rules = Rules::instance();
  Watch& watch = Watch::instance();
  rules.page().posted.fetch_add(1, std::memory_order_relaxed);
  if (!rules.any() && !watch.on()) return ours.post_send(pair, requests, bad);
  for (ibv_send_wr* each = requests; each; each = each->next) {
    if (watch.on()) watch.posted(*pair, *each);
    if (int error = post_one(ours, pair, each)) {
      if (watch.on()) watch.withdraw(*pair);
      Line(ours.device->name.c_str(), "ibv_post_send")
          .add("errno", error)
          .add("number", pair->qp_num);
      if (bad) *bad = each;
      return errno = error;
    }
  }
  return 0;
}

int post_receive(ibv_qp* pair, ibv_recv_wr* requests, ibv_recv_wr** bad) {
  const OpenContext& ours = opened(pair->context);
  Rules::instance().page().posted.fetch_add(1, std::memory_order_relaxed);
  if (!Rules::instance().at(Point::post_recv).empty()) {
    if (int error = enter(Point::post_recv, ours.device->name.c_str())) {
      if (bad) *bad = requests;
      return errno = error;
    }
  }
  int error = ours.post_recv(pair, requests, bad);
  if (error != 0) {
    Line(ours.device->name.c_str(), "ibv_post_recv")
        .add("errno", error)
        .add("number", pair->qp_num);
  }
  return error;
}

int poll(ibv_cq* queue, int count, ibv_wc* out) {
  const OpenContext& ours = opened(queue->context);
  if (int error = enter_poll(ours.device->name.c_str())) return errno = error, -1;
  int found = ours.poll_cq(queue, count, out);
  if (found < 0) return found;
  Drops& books = Drops::instance();
  if (books.possible()) {
    for (int i = 0; i < found; ++i) books.note(queue->context, out[i]);
    while (found < count && books.take(queue, out[found])) ++found;
  }
  for (int i = 0; i < found; ++i) alter(queue->context, *ours.device, out[i]);
  note_poll(found);
  return found;
}

}  // namespace railyard::passthrough
