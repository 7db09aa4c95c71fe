// What becomes of requests.
#include <algorithm>
#include <cstring>

#include "model.h"
#include "opcodes.h"

namespace railyard::fuzz {

// InfiniBand specification, 10.3.1: a queue pair in error flushes all that is not carried out.
void Model::break_end(Link& link, int side) {
  End& own = link.ends[side];
  if (own.state == IBV_QPS_ERR) return;
  own.state = IBV_QPS_ERR;
  for (; !own.shared && own.next_receive < own.receives.size(); ++own.next_receive) {
    own.receives[own.next_receive].decided = true;
    own.receives[own.next_receive].status = IBV_WC_WR_FLUSH_ERR;
  }
  for (Send& send : own.sends) {
    if (send.decided) continue;
    send.decided = true;
    send.status = IBV_WC_WR_FLUSH_ERR;
  }
  own.next_send = own.sends.size();
  advance(link, 1 - side);
}

// InfiniBand specification, 10.3.1: a local error in a request of an unreliable service stops its
// sends alone.
void Model::stop_sends(Link& link, int side) {
  End& own = link.ends[side];
  own.state = IBV_QPS_SQE;
  own.sure = false;
  link.settling = true;
  link.breaker = side;
  for (; own.next_send < own.sends.size(); ++own.next_send) {
    own.sends[own.next_send].decided = true;
    own.sends[own.next_send].status = IBV_WC_WR_FLUSH_ERR;
  }
}

// A request of `side` broke one end or both: from here on the ends may differ in what they know.
void Model::tear(Link& link, int side, bool own, bool peers) {
  const End& there = link.ends[1 - side];
  const End& here = link.ends[side];
  auto decided = [](const auto& queue) {
    return std::any_of(queue.begin(), queue.end(),
                       [](const auto& each) { return each.decided || each.limbo; });
  };
  bool arriving = std::any_of(here.receives.begin(), here.receives.end(),
                              [](const Receive& receive) { return receive.decided; });
  bool crossing = decided(there.sends) || arriving;
  if (link.settling && link.breaker != side) crossing = true;
  link.settling = true;
  link.breaker = side;
  for (int each : {side, 1 - side}) {
    if (!(each == side ? own : peers) || link.ends[each].state == IBV_QPS_ERR) continue;
    link.ends[each].sure = false;
    break_end(link, each);
  }
  if (crossing) {
    link.loose = true;
    ++marks_.loosened;
  }
}

void Model::conclude(End& own, Send& send, ibv_wc_status status) {
  send.decided = true;
  send.status = status;
  ++own.next_send;
  if (status != IBV_WC_SUCCESS && status != IBV_WC_WR_FLUSH_ERR) ++marks_.errors;
}

void Model::advance(Link& link, int side) {
  End& own = link.ends[side];
  while (own.next_send < own.sends.size() && !link.loose) {
    if (!decide(link, side, own.sends[own.next_send])) return;
  }
}

// The keys of pieces that hold nothing are not looked at, nor is that of inline data.
bool Model::local_fault(const Send& send) const {
  const Step& step = send.step;
  if (send.bytes == 0 || step.inlined || step.local == Key::good) return false;
  return step.local != Key::read_only || answered(step.opcode);
}

bool Model::remote_fault(const Send& send, bool writable) const {
  const Step& step = send.step;
  if (!one_sided(step.opcode) || send.bytes == 0) return false;
  if (step.offset + send.bytes > kWindowBytes) return true;
  bool reads = step.opcode == IBV_WR_RDMA_READ;
  if (step.remote == Key::good) return !writable && !reads;
  if (step.remote == Key::bound) return step.offset + send.bytes > kBoundBytes;
  return step.remote != Key::read_only || !reads;
}

// InfiniBand specification, 9.8.3: a datagram that finds no receive is dropped in silence.
bool Model::drops(const Link& link) const {
  return rules_.drops_without_receive || link.type == IBV_QPT_UD;
}

// Decides the oldest undecided request of an end; false: it waits.
bool Model::decide(Link& link, int side, Send& send) {
  End& own = link.ends[side];
  End& target = link.ends[1 - side];
  bool reliable = fuzz::reliable(link.type);
  if (own.flushes()) return conclude(own, send, IBV_WC_WR_FLUSH_ERR), true;
  // What follows a request that may never end waits with it.
  if (own.next_send > 0 && own.sends[own.next_send - 1].limbo) {
    send.limbo = true;
    ++own.next_send;
    return true;
  }
  if (local_fault(send)) {
    conclude(own, send, IBV_WC_LOC_PROT_ERR);
    reliable ? tear(link, side, true, false) : stop_sends(link, side);
    return true;
  }
  if (!link.linked || link.cuts != 0 || !target.receives_messages()) {
    if (reliable) {
      conclude(own, send, IBV_WC_RETRY_EXC_ERR);
      tear(link, side, true, false);
      return true;
    }
    if (drops(link)) return ++marks_.dropped, conclude(own, send, IBV_WC_SUCCESS), true;
    send.limbo = true;
    ++own.next_send;
    return true;
  }
  // InfiniBand specification, 9.8.3: a datagram with another queue key is dropped in silence.
  if (link.type == IBV_QPT_UD && !opens(send.step.remote))
    return ++marks_.dropped, conclude(own, send, IBV_WC_SUCCESS), true;
  if (remote_fault(send, target.writable)) {
    if (!reliable) return conclude(own, send, IBV_WC_SUCCESS), true;  // lost in silence
    conclude(own, send, IBV_WC_REM_ACCESS_ERR);
    tear(link, side, true, true);
    return true;
  }
  if (takes_receive(send.step.opcode) && target.next_receive == target.receives.size()) {
    const EndPlan& planned = plan_.connections[size_t(send.step.connection)].ends[side];
    if (reliable && planned.rnr_retries == 7) return false;
    if (reliable) {
      ++marks_.unready;
      conclude(own, send, IBV_WC_RNR_RETRY_EXC_ERR);
      tear(link, side, true, false);
      return true;
    }
    if (!drops(link)) return false;
    ++marks_.dropped;
    conclude(own, send, IBV_WC_SUCCESS);
    return true;
  }
  if (takes_receive(send.step.opcode)) return meet_receive(link, side, send);
  if (send.step.remote == Key::bound && send.bytes != 0) ++marks_.bound;
  carry_out(target, send);
  conclude(own, send, IBV_WC_SUCCESS);
  return true;
}

bool Model::meet_receive(Link& link, int side, Send& send) {
  End& own = link.ends[side];
  End& target = link.ends[1 - side];
  Receive& receive = target.receives[target.next_receive];
  bool reliable = fuzz::reliable(link.type), sends = !writes(send.step.opcode);
  auto frames = [&](uint32_t bytes) { return rules_.frame_bytes == 0 ? 0 : units_of(bytes); };
  bool too_long =
      sends && (send.bytes > receive.bytes || frames(send.bytes) != frames(receive.bytes));
  // A datagram brings a header at least (InfiniBand specification, 11.4.1.2).
  bool brings = send.bytes != 0 || link.type == IBV_QPT_UD;
  bool forbidden = sends && brings && receive.key != Key::good;
  receive.decided = true;
  ++target.next_receive;
  if (too_long || forbidden) {
    receive.status = too_long ? IBV_WC_LOC_LEN_ERR : IBV_WC_LOC_PROT_ERR;
    ++marks_.errors;
    if (too_long && forbidden) link.loose = true;  // which is found first is the device's affair
    if (reliable) {
      conclude(own, send, too_long ? IBV_WC_REM_INV_REQ_ERR : IBV_WC_REM_OP_ERR);
    } else {
      conclude(own, send, IBV_WC_SUCCESS);
    }
    tear(link, side, reliable, true);
    return true;
  }
  receive.message = {send.bytes, send.step.immediate, send.step.opcode,
                     digest_of_pattern(send.step.seed, send.bytes), false};
  if (!sends) carry_out(target, send);
  ++marks_.delivered;
  if (link.type == IBV_QPT_XRC_SEND) ++marks_.extended;
  marks_.apart += plan_.connections[size_t(send.step.connection)].ends[1 - side].apart;
  if (target.shared) ++marks_.shared;
  conclude(own, send, IBV_WC_SUCCESS);
  return true;
}

void Model::carry_out(End& target, Send& send) {
  uint8_t* window = target.window.data() + send.step.offset;
  if (send.bytes == 0) {
    send.digest = kDigestStart;
  } else if (writes(send.step.opcode)) {
    ++marks_.writes;
    for (uint32_t i = 0; i < send.bytes; ++i) window[i] = pattern(send.step.seed, i);
  } else if (send.step.opcode == IBV_WR_RDMA_READ) {
    ++marks_.reads;
    send.digest = digest_of(window, send.bytes);
  } else {
    ++marks_.atomics;
    send.digest = digest_of(window, sizeof(uint64_t));
    uint64_t word;
    memcpy(&word, window, sizeof word);
    if (send.step.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
      word += send.step.seed;
    } else if (word == send.step.seed) {
      word = ~send.step.seed;
    }
    memcpy(window, &word, sizeof word);
  }
}

}  // namespace railyard::fuzz
