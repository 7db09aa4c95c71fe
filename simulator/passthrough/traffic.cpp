// The data path, which programs reach through a context's table.
#include <cerrno>

#include "passthrough/device.h"
#include "passthrough/drops.h"
#include "passthrough/record.h"

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
  const char* device = ours.device->name.c_str();
  if (int error = enter(Point::post_send, device).error) return error;
  Rules::instance().count_messages(1);
  Drops& books = Drops::instance();
  if (books.possible() && drops(device)) {
    books.dropped(pair, *request);
    return 0;
  }
  ibv_send_wr alone = *request, *refused = nullptr;
  alone.next = nullptr;
  int error = ours.post_send(pair, &alone, &refused);
  if (error == 0 && books.possible()) books.posted(pair, *request);
  return error;
}

// What the rules make of the completions that a poll has found; those in error go to the record.
void alter(const char* device, ibv_wc* completions, int found) {
  Rules& rules = Rules::instance();
  for (int i = 0; i < found; ++i) {
    for (const Rule* rule : rules.at(Point::completion)) {
      if (!rules.strikes(*rule, device)) continue;
      if (rule->deed == Deed::status)
        completions[i].status = static_cast<ibv_wc_status>(rule->number);
    }
    if (completions[i].status == IBV_WC_SUCCESS) continue;
    Line(device, "completion")
        .add("status", completions[i].status)
        .add("number", completions[i].qp_num);
  }
}

}  // namespace

int post_send(ibv_qp* pair, ibv_send_wr* requests, ibv_send_wr** bad) {
  const OpenContext& ours = opened(pair->context);
  Rules& rules = Rules::instance();
  rules.page().posted.fetch_add(1, std::memory_order_relaxed);
  if (!rules.any()) return ours.post_send(pair, requests, bad);
  for (ibv_send_wr* each = requests; each; each = each->next) {
    if (int error = post_one(ours, pair, each)) {
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
    if (int error = enter(Point::post_recv, ours.device->name.c_str()).error) {
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
  const char* device = ours.device->name.c_str();
  Rules& rules = Rules::instance();
  if (!rules.at(Point::poll_cq).empty()) {
    if (int error = enter(Point::poll_cq, device).error) return errno = error, -1;
  }
  int found = ours.poll_cq(queue, count, out);
  if (found < 0) return found;
  if (Drops::instance().possible()) found = Drops::instance().settle(queue, out, found, count);
  if (found > 0) {
    rules.page().completed.fetch_add(static_cast<uint64_t>(found), std::memory_order_relaxed);
    alter(device, out, found);
  } else {
    RulePage& page = rules.page();
    if (page.ports_asked.load(std::memory_order_relaxed) !=
        page.ports_answered.load(std::memory_order_relaxed)) {
      look_at_ports();
    }
    page.empty_polls.fetch_add(1, std::memory_order_relaxed);
  }
  return found;
}

}  // namespace railyard::passthrough
