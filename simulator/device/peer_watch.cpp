// How a sender finds out that nobody answers any more, and waits for one who still might.
#include <mutex>

#include "device/context.h"
#include "device/queue_pair.h"
#include "platform/doorbell.h"

namespace railyard::sim {

namespace {

constexpr double kLookAtPeerNs = 10e6;
constexpr int64_t kLingerStepNs = 20'000;

}  // namespace

void QueuePair::look_for_death() {
  if (reliable()) return;  // their time-outs see to it
  uint64_t now = segment().now_ticks();
  if (now - looked_at_peer_ < segment().ticks_in_ns(kLookAtPeerNs)) return;
  looked_at_peer_ = now;
  if (!datagrams()) segment().reap_if_dead(peer_record().owner);
  if (!pending_.empty()) {
    segment().reap_if_dead(segment().queue_pair(pending_.front().receiver).owner);
  }
}

// Whether the time for all retries of the oldest message is over. It runs only while nobody could
// answer: a peer that is merely slow to look does answer, on a real device.
bool QueuePair::timed_out() {
  uint64_t now = segment().now_ticks();
  if (now - looked_at_peer_ > segment().ticks_in_ns(kLookAtPeerNs)) {
    looked_at_peer_ = now;
    uint32_t owner = peer_record().owner.load(std::memory_order_acquire);
    if (extended_reliable()) {
      look_for_dead_sharers();
    } else {
      peer_dead_ = owner != 0 && !segment().alive(owner - 1);
    }
  }
  bool answers = path_open() && (peer_life_ == 0 || peer_record().life.load() == peer_life_);
  if (answers) {
    closed_since_ = 0;
    return false;
  }
  if (closed_since_ == 0) closed_since_ = now;
  if (attributes_.timeout == 0) return false;  // for ever
  // InfiniBand specification 9.7.6.1.3: 4.096 us * 2^timeout, and as often again as retries.
  double timeout_ns = 4096.0 * static_cast<double>(uint64_t{1} << attributes_.timeout) *
                      (attributes_.retry_cnt + 1);
  return now - closed_since_ > segment().ticks_in_ns(timeout_ns);
}

void QueuePair::linger() {
  auto unread = [&] {
    std::lock_guard lock(owner_.lock);
    if (qp_base.state == IBV_QPS_RTS && !reliable() && sends_outstanding()) complete_sends(true);
    bool told = completed_ == posted_ || !peer_decides();  // that they have left
    return qp_base.state == IBV_QPS_RTS && !reliable() && told && read_settled() != on_wire_;
  };
  // By the clock, as a step may take long where many want the cores.
  uint64_t end = segment().now_ticks() + segment().ticks_in_ns(fabric::kUnreadNs);
  while (unread() && segment().now_ticks() < end) {
    ring_peer(true);
    platform::pause_thread(kLingerStepNs);
  }
}

}  // namespace railyard::sim
