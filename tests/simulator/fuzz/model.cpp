#include "model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace railyard::fuzz {
namespace {

bool atomic(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_ATOMIC_CMP_AND_SWP || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}
bool writes(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_RDMA_WRITE || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}
bool answered(ibv_wr_opcode opcode) { return opcode == IBV_WR_RDMA_READ || atomic(opcode); }
bool one_sided(ibv_wr_opcode opcode) { return writes(opcode) || answered(opcode); }
bool takes_receive(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM ||
         opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}
bool has_immediate(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_SEND_WITH_IMM || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

ibv_wc_opcode completed_as(ibv_wr_opcode opcode) {
  switch (opcode) {
    case IBV_WR_RDMA_WRITE:
    case IBV_WR_RDMA_WRITE_WITH_IMM:
      return IBV_WC_RDMA_WRITE;
    case IBV_WR_RDMA_READ:
      return IBV_WC_RDMA_READ;
    case IBV_WR_ATOMIC_CMP_AND_SWP:
      return IBV_WC_COMP_SWAP;
    case IBV_WR_ATOMIC_FETCH_AND_ADD:
      return IBV_WC_FETCH_ADD;
    default:
      return IBV_WC_SEND;
  }
}

// Immediate errors that a post may have; none: it must be accepted unless `may_refuse`.
struct Allowed {
  bool accept = true;
  std::vector<int> errors;

  void must(int error) {
    accept = false;
    errors.push_back(error);
  }
  void may(int error) { errors.push_back(error); }
  void check(int result, const char* what) const {
    if (result == 0 && accept) return;
    if (result != 0 && std::find(errors.begin(), errors.end(), result) != errors.end()) return;
    std::string expected = accept ? "0" : "";
    for (int error : errors)
      expected += fmt::format("{}{}", expected.empty() ? "" : " or ", strerror(error));
    throw Violation(fmt::format("{} returned {} ({}), expected {}", what, result,
                                result > 0 ? strerror(result) : "", expected));
  }
};

const char* text(uint32_t status) { return ibv_wc_status_str(static_cast<ibv_wc_status>(status)); }

}  // namespace

Model::Model(const Plan& plan) : rules_(rules_of(plan.profile)), plan_(plan) {
  for (const ConnectionPlan& connection : plan.connections) {
    links_.emplace_back();
    links_.back().type = connection.type;
  }
}

// TN3205: queues are sized in frames of 4 KiB.
uint32_t Model::units_of(uint32_t bytes) const {
  uint32_t frame = rules_.frame_bytes;
  return frame == 0 || bytes <= frame ? 1 : (bytes + frame - 1) / frame;
}

void Model::forget(Link& link, int side) {
  End& own = link.ends[side];
  for (const Send& send : own.sends) orphans_.insert(send.id);
  for (const Receive& receive : own.receives) orphans_.insert(receive.id);
  own.sends.clear();
  own.receives.clear();
  own.next_send = own.next_receive = 0;
  own.messages.clear();
  own.taken = 0;
  own.broken = false;
}

void Model::created(int connection, int side, const EndInfo& info) {
  End& own = end(connection, side);
  own.exists = true;
  own.state = IBV_QPS_RESET;
  own.info = info;
}

void Model::connected(int connection, uint64_t window_seed) {
  Link& link = links_[size_t(connection)];
  link.linked = true;
  link.loose = link.settling = false;
  for (End& own : link.ends) {
    own.state = IBV_QPS_RTS;
    own.sure = true;
    own.messages.clear();
    own.taken = 0;
    own.window.resize(kWindowBytes);
    for (uint32_t i = 0; i < kWindowBytes; ++i) own.window[i] = pattern(window_seed, i);
  }
}

bool Model::races(const Step& step) const {
  const Link& link = links_[size_t(step.connection)];
  if (!link.settling || link.loose) return false;
  // A send may arrive before its queue pair knows; a receive may take what the peer is about to
  // flush.
  if (step.act == Act::send) return step.side != link.breaker;
  return !link.ends[0].sure || !link.ends[1].sure;
}

// ------------------------------------------------------------------------------------------------
// Steps

void Model::posted_send(const Step& step, uint64_t id, int result) {
  Link& link = links_[size_t(step.connection)];
  End& own = link.ends[step.side];
  bool reliable = link.type == IBV_QPT_RC;
  uint32_t bytes = step.bytes(), units = units_of(bytes);
  if (result == ENOBUFS) return;  // the fuzzer's own memory is used up

  Allowed allowed;
  if (own.state == IBV_QPS_RESET) allowed.must(EINVAL);
  bool strict = own.state != IBV_QPS_ERR && !link.loose;
  auto wrong = [&](int error) { strict ? allowed.must(error) : allowed.may(error); };
  if (one_sided(step.opcode) && !rules_.one_sided) wrong(EOPNOTSUPP);
  if (answered(step.opcode) && !reliable) wrong(EINVAL);
  if (step.pieces > own.info.granted.max_send_sge) wrong(EINVAL);
  if (step.inlined && (answered(step.opcode) || bytes > own.info.granted.max_inline_data))
    wrong(EINVAL);
  uint32_t held = units, waiting = units;
  for (const Send& send : own.sends) {
    held += send.units;
    waiting += send.decided || send.limbo ? 0 : send.units;
  }
  if (waiting > own.info.granted.max_send_wr) {
    wrong(ENOMEM);
  } else if (held > own.info.granted.max_send_wr) {
    allowed.may(ENOMEM);
  }
  allowed.check(result, "ibv_post_send");
  if (result != 0) {
    ++marks_.refused;
    return;
  }
  ++marks_.sends;
  const EndPlan& planned = plan_.connections[size_t(step.connection)].ends[step.side];
  Send send{id, step, bytes, units, planned.signal_all || step.signaled};
  send.barred = own.state == IBV_QPS_ERR && !(link.settling && step.side != link.breaker);
  if (takes_receive(step.opcode)) {
    own.messages.push_back(
        {bytes, step.immediate, step.opcode, digest_of_pattern(step.seed, bytes), send.barred});
  }
  places_[id] = {step.connection, step.side, false};
  own.sends.push_back(send);
  if (!link.loose) advance(link, step.side);
}

void Model::posted_receive(const Step& step, uint64_t id, int result) {
  Link& link = links_[size_t(step.connection)];
  End& own = link.ends[step.side];
  uint32_t bytes = step.bytes(), units = units_of(bytes);
  if (result == ENOBUFS) return;

  Allowed allowed;
  if (own.state == IBV_QPS_RESET) allowed.must(EINVAL);
  bool strict = own.state != IBV_QPS_ERR && !link.loose;
  auto wrong = [&](int error) { strict ? allowed.must(error) : allowed.may(error); };
  if (step.pieces > own.info.granted.max_recv_sge) wrong(EINVAL);
  uint32_t held = units, waiting = units;
  for (const Receive& receive : own.receives) {
    held += receive.units;
    waiting += receive.decided ? 0 : receive.units;
  }
  if (waiting > own.info.granted.max_recv_wr) {
    wrong(ENOMEM);
  } else if (held > own.info.granted.max_recv_wr) {
    allowed.may(ENOMEM);
  }
  allowed.check(result, "ibv_post_recv");
  if (result != 0) {
    ++marks_.refused;
    return;
  }
  ++marks_.receives;
  places_[id] = {step.connection, step.side, true};
  own.receives.push_back(
      {.id = id, .bytes = bytes, .units = units, .key = step.local, .message = {}});
  if (link.loose) return;
  if (own.state == IBV_QPS_ERR) {
    own.receives.back().decided = true;
    own.receives.back().status = IBV_WC_WR_FLUSH_ERR;
    own.next_receive = own.receives.size();
  }
  advance(link, 1 - step.side);
}

// ibv_modify_qp(3): from RTS to RTS nothing is required; all other moves need more than the state.
void Model::misstepped(const Step& step, int result) {
  const Link& link = links_[size_t(step.connection)];
  const End& own = link.ends[step.side];
  Allowed allowed;
  bool unsure = link.settling || link.loose;
  if (step.state == IBV_QPS_RTS && (own.state == IBV_QPS_RTS || unsure)) {
    if (unsure) allowed.may(EINVAL);
  } else {
    allowed.must(EINVAL);
  }
  allowed.check(result, "ibv_modify_qp");
}

void Model::failed(int connection, int side, int result) {
  if (result != 0) throw Violation(fmt::format("ibv_modify_qp to ERR returned {}", result));
  Link& link = links_[size_t(connection)];
  if (!link.loose) break_end(link, side);
  link.ends[side].state = IBV_QPS_ERR;
  link.ends[side].sure = true;
}

void Model::reset(int connection, int side, int result) {
  if (result != 0) throw Violation(fmt::format("ibv_modify_qp to RESET returned {}", result));
  Link& link = links_[size_t(connection)];
  forget(link, side);
  link.ends[side].state = IBV_QPS_RESET;
  link.linked = false;
  if (!link.loose) advance(link, 1 - side);
}

void Model::destroyed(int connection, int side, int result) {
  if (result != 0) throw Violation(fmt::format("ibv_destroy_qp returned {}", result));
  Link& link = links_[size_t(connection)];
  forget(link, side);
  link.ends[side].state = IBV_QPS_RESET;
  link.ends[side].exists = false;
  link.linked = false;
  if (!link.loose) advance(link, 1 - side);
}

void Model::saw_state(int connection, int side, ibv_qp_state state) const {
  const Link& link = links_[size_t(connection)];
  ibv_qp_state expected = link.ends[side].state;
  bool unsure = (link.settling || link.loose) && (state == IBV_QPS_RTS || state == IBV_QPS_ERR);
  if (state == expected || (unsure && expected != IBV_QPS_RESET)) return;
  throw Violation(
      fmt::format("the queue pair is in state {}, expected {}", int(state), int(expected)));
}

// ------------------------------------------------------------------------------------------------
// The fate of requests

// InfiniBand specification, 10.3.1: a queue pair in error flushes all that is not carried out.
void Model::break_end(Link& link, int side) {
  End& own = link.ends[side];
  if (own.state == IBV_QPS_ERR) return;
  own.state = IBV_QPS_ERR;
  for (; own.next_receive < own.receives.size(); ++own.next_receive) {
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

bool Model::remote_fault(const Send& send) const {
  const Step& step = send.step;
  if (!one_sided(step.opcode) || send.bytes == 0) return false;
  if (step.offset + send.bytes > kWindowBytes) return true;
  return step.remote != Key::good &&
         (step.remote != Key::read_only || step.opcode != IBV_WR_RDMA_READ);
}

// Decides the oldest undecided request of an end; false: it waits.
bool Model::decide(Link& link, int side, Send& send) {
  End& own = link.ends[side];
  End& target = link.ends[1 - side];
  bool reliable = link.type == IBV_QPT_RC;
  if (own.state == IBV_QPS_ERR) return conclude(own, send, IBV_WC_WR_FLUSH_ERR), true;
  // What follows a request that may never end waits with it.
  if (own.next_send > 0 && own.sends[own.next_send - 1].limbo) {
    send.limbo = true;
    ++own.next_send;
    return true;
  }
  if (local_fault(send)) {
    conclude(own, send, IBV_WC_LOC_PROT_ERR);
    tear(link, side, true, false);
    return true;
  }
  if (!link.linked || target.state != IBV_QPS_RTS) {
    if (reliable) {
      conclude(own, send, IBV_WC_RETRY_EXC_ERR);
      tear(link, side, true, false);
      return true;
    }
    if (rules_.drops_without_receive)
      return ++marks_.dropped, conclude(own, send, IBV_WC_SUCCESS), true;
    send.limbo = true;
    ++own.next_send;
    return true;
  }
  if (remote_fault(send)) {
    if (!reliable) return conclude(own, send, IBV_WC_SUCCESS), true;  // lost in silence
    conclude(own, send, IBV_WC_REM_ACCESS_ERR);
    tear(link, side, true, true);
    return true;
  }
  if (takes_receive(send.step.opcode) && target.next_receive == target.receives.size()) {
    const EndPlan& planned = plan_.connections[size_t(send.step.connection)].ends[side];
    if (reliable && planned.rnr_retries == 7) return false;
    if (reliable) {
      conclude(own, send, IBV_WC_RNR_RETRY_EXC_ERR);
      tear(link, side, true, false);
      return true;
    }
    if (!rules_.drops_without_receive) return false;
    ++marks_.dropped;
    conclude(own, send, IBV_WC_SUCCESS);
    return true;
  }
  if (takes_receive(send.step.opcode)) return meet_receive(link, side, send);
  carry_out(target, send);
  conclude(own, send, IBV_WC_SUCCESS);
  return true;
}

bool Model::meet_receive(Link& link, int side, Send& send) {
  End& own = link.ends[side];
  End& target = link.ends[1 - side];
  Receive& receive = target.receives[target.next_receive];
  bool reliable = link.type == IBV_QPT_RC, sends = !writes(send.step.opcode);
  auto frames = [&](uint32_t bytes) { return rules_.frame_bytes == 0 ? 0 : units_of(bytes); };
  bool too_long =
      sends && (send.bytes > receive.bytes || frames(send.bytes) != frames(receive.bytes));
  bool forbidden = sends && send.bytes != 0 && receive.key != Key::good;
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

// ------------------------------------------------------------------------------------------------
// What is seen

void Model::saw_completion(const Completion& completion) {
  if (orphans_.erase(completion.id) != 0) return;
  auto place = places_.find(completion.id);
  if (place == places_.end()) {
    throw Violation(fmt::format("a completion of request {}, which was never posted or is complete",
                                completion.id));
  }
  auto [connection, side, receive] = place->second;
  Link& link = links_[size_t(connection)];
  if (completion.number != link.ends[side].info.number) {
    throw Violation(fmt::format("request {} completed by queue pair {}, not {}", completion.id,
                                completion.number, link.ends[side].info.number));
  }
  if (!completion.intact) {
    throw Violation(
        fmt::format("request {}: memory beyond what it may fill has changed", completion.id));
  }
  if (completion.status == IBV_WC_WR_FLUSH_ERR) ++marks_.flushed;
  receive ? saw_received(link, side, completion) : saw_sent(link, side, completion);
}

void Model::saw_sent(Link& link, int side, const Completion& completion) {
  End& own = link.ends[side];
  auto refuse = [&](const Send& send, const std::string& expected) {
    throw Violation(fmt::format("send {} (step {}) completed with '{}', expected {}", send.id,
                                send.step.number, text(completion.status), expected));
  };
  while (!own.sends.empty()) {
    Send send = own.sends.front();
    bool success = completion.status == IBV_WC_SUCCESS;
    if (send.id != completion.id) {
      // Only a request that is not signaled and succeeded has no completion.
      bool may_be_silent = !send.signaled && (link.loose || send.limbo ||
                                              (send.decided && send.status == IBV_WC_SUCCESS));
      if (!may_be_silent || own.broken)
        refuse(send, "its completion before that of a later request");
    } else if (link.loose) {
      if (own.broken && completion.status != IBV_WC_WR_FLUSH_ERR)
        refuse(send, "a flush, after an error");
      if (success && send.barred) refuse(send, "a flush: it follows a request that failed");
    } else if (send.limbo) {
      if (!success && !(own.state == IBV_QPS_ERR && completion.status == IBV_WC_WR_FLUSH_ERR)) {
        refuse(send, "success, or nothing");
      }
    } else if (!send.decided) {
      refuse(send, "nothing: it waits for a receive");
    } else if (completion.status != static_cast<uint32_t>(send.status)) {
      refuse(send, fmt::format("'{}'", text(send.status)));
    }
    if (send.id == completion.id && success) {
      if (!send.signaled) refuse(send, "nothing: it is not signaled");
      if (completion.opcode != static_cast<uint32_t>(completed_as(send.step.opcode))) {
        refuse(send, fmt::format("the opcode {}, not {}", int(completed_as(send.step.opcode)),
                                 completion.opcode));
      }
      bool known = answered(send.step.opcode) && !link.loose && send.bytes != 0;
      if (known && completion.digest != send.digest) refuse(send, "other data in its memory");
    }
    if (send.id == completion.id && !success) own.broken = true;
    own.sends.pop_front();
    if (own.next_send > 0) --own.next_send;
    if (send.id == completion.id) {
      places_.erase(completion.id);
      return;
    }
    places_.erase(send.id);
  }
  throw Violation(fmt::format("a second completion of request {}", completion.id));
}

bool Model::fits(const Message& message, const Completion& completion) {
  if (message.barred || message.bytes != completion.bytes) return false;
  bool with = completion.flags & IBV_WC_WITH_IMM;
  if (with != has_immediate(message.opcode)) return false;
  if (with && completion.immediate != message.immediate) return false;
  bool written = message.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
  if (completion.opcode != static_cast<uint32_t>(written ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV))
    return false;
  return written || completion.digest == message.digest;
}

void Model::saw_received(Link& link, int side, const Completion& completion) {
  End& own = link.ends[side];
  const End& peer = link.ends[1 - side];
  Receive receive = own.receives.front();
  auto refuse = [&](const std::string& expected) {
    throw Violation(fmt::format("receive {} completed with '{}', {} bytes, expected {}",
                                completion.id, text(completion.status), completion.bytes,
                                expected));
  };
  if (receive.id != completion.id) refuse(fmt::format("receive {} first", receive.id));
  if (!link.loose) {
    if (!receive.decided) refuse("nothing: no message has come for it");
    if (completion.status != static_cast<uint32_t>(receive.status))
      refuse(fmt::format("'{}'", text(receive.status)));
  }
  if (completion.status == IBV_WC_SUCCESS) {
    if (!link.loose && !fits(*receive.message, completion)) {
      refuse(fmt::format("{} bytes, with what was sent", receive.message->bytes));
    }
    // Messages arrive in their order; those between were dropped. A peer that was reset has none.
    size_t found = own.taken;
    while (found < peer.messages.size() && !fits(peer.messages[found], completion)) ++found;
    if (found == peer.messages.size() && link.loose && link.linked) {
      refuse("one of the messages sent to it and not yet received, in their order");
    }
    own.taken = std::min(found + 1, peer.messages.size());
  }
  own.receives.pop_front();
  if (own.next_receive > 0) --own.next_receive;
  places_.erase(completion.id);
}

void Model::saw_window(int connection, int side, uint64_t digest) const {
  const Link& link = links_[size_t(connection)];
  if (link.loose) return;
  const End& own = link.ends[side];
  if (digest != digest_of(own.window.data(), own.window.size())) {
    throw Violation(
        fmt::format("the window of connection {} side {} holds other data than was written to it",
                    connection, side));
  }
}

// ------------------------------------------------------------------------------------------------
// What must come

bool Model::underway(int connection) const {
  const Link& link = links_[size_t(connection)];
  for (const End& own : link.ends) {
    for (const Send& send : own.sends) {
      if (send.decided || send.limbo) return true;
    }
    for (const Receive& receive : own.receives) {
      if (receive.decided) return true;
    }
  }
  return link.settling;
}

std::string Model::awaited(int connection) const {
  const Link& link = links_[size_t(connection)];
  for (int side = 0; side < 2; ++side) {
    const End& own = link.ends[side];
    bool all = link.loose && own.state == IBV_QPS_ERR && own.sure;
    for (const Send& send : own.sends) {
      bool due = !link.loose && send.decided &&
                 (send.signaled || (!send.limbo && send.status != IBV_WC_SUCCESS));
      if (all ? send.signaled : due) {
        return fmt::format("side {}: the completion of send {} (step {}) with '{}'", side, send.id,
                           send.step.number, all ? "any status" : text(send.status));
      }
    }
    for (const Receive& receive : own.receives) {
      if (all || (!link.loose && receive.decided)) {
        return fmt::format("side {}: the completion of receive {} with '{}'", side, receive.id,
                           all ? "any status" : text(receive.status));
      }
    }
  }
  return "";
}

void Model::settled(int connection) {
  Link& link = links_[size_t(connection)];
  link.settling = false;
  for (End& own : link.ends) {
    if (!link.loose) own.sure = true;
    while (!own.sends.empty() && own.sends.front().decided && !own.sends.front().signaled &&
           !link.loose) {
      places_.erase(own.sends.front().id);
      own.sends.pop_front();
      if (own.next_send > 0) --own.next_send;
    }
  }
}

}  // namespace railyard::fuzz
