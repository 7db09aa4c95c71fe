// What each step may return.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "model.h"
#include "opcodes.h"

namespace railyard::fuzz {
namespace {

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

}  // namespace

void Model::posted_send(const Step& step, uint64_t id, int result) {
  Link& link = links_[size_t(step.connection)];
  End& own = link.ends[step.side];
  bool reliable = fuzz::reliable(link.type);
  uint32_t bytes = step.bytes(), units = units_of(bytes);
  if (result == ENOBUFS) return;  // the fuzzer's own memory is used up

  Allowed allowed;
  if (own.state == IBV_QPS_RESET) allowed.must(EINVAL);
  bool strict = !own.flushes() && !link.loose;
  auto wrong = [&](int error) { strict ? allowed.must(error) : allowed.may(error); };
  if (one_sided(step.opcode) && !rules_.one_sided) wrong(EOPNOTSUPP);
  if (answered(step.opcode) && !reliable) wrong(EINVAL);
  if (step.pieces > own.info.granted.max_send_sge) wrong(EINVAL);
  if (step.inlined && (answered(step.opcode) || bytes > own.info.granted.max_inline_data))
    wrong(EINVAL);
  // InfiniBand specification 10.8.5: a place is free when its completion, or that of a later
  // request, is read.
  uint32_t held = own.silent_units + units;
  for (const Send& send : own.sends) held += send.units;
  if (held > own.info.granted.max_send_wr) wrong(ENOMEM);
  allowed.check(result, "ibv_post_send");
  if (result != 0) {
    ++marks_.refused;
    return;
  }
  ++marks_.sends;
  const EndPlan& planned = plan_.connections[size_t(step.connection)].ends[step.side];
  Send send{id, step, bytes, units, planned.signal_all || step.signaled};
  // A device knows at once of an error in one's own request, of others' when they tell.
  send.barred = own.failing || (own.flushes() && own.sure);
  own.failing = own.failing || local_fault(send);
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
  if (own.state == IBV_QPS_RESET && !own.shared) allowed.must(EINVAL);
  bool strict = (own.shared || own.state != IBV_QPS_ERR) && !link.loose;
  auto wrong = [&](int error) { strict ? allowed.must(error) : allowed.may(error); };
  if (step.pieces > own.info.granted.max_recv_sge) wrong(EINVAL);
  uint32_t held = units, waiting = units;
  for (const Receive& receive : own.receives) {
    held += receive.units;
    waiting += receive.decided ? 0 : receive.units;
  }
  if (waiting > own.info.granted.max_recv_wr) {
    wrong(ENOMEM);
  } else if (held > own.info.granted.max_recv_wr || own.residue) {
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
  if (own.state == IBV_QPS_ERR && !own.shared) {
    own.receives.back().decided = true;
    own.receives.back().status = IBV_WC_WR_FLUSH_ERR;
    own.next_receive = own.receives.size();
  }
  advance(link, 1 - step.side);
}

// ibv_modify_qp(3): from RTS and SQE to RTS nothing is required; all other moves need more than the
// state.
void Model::misstepped(const Step& step, int result) {
  Link& link = links_[size_t(step.connection)];
  End& own = link.ends[step.side];
  Allowed allowed;
  bool unsure = link.settling || link.loose;
  if (step.state == IBV_QPS_RTS && (own.receives_messages() || unsure)) {
    if (unsure) allowed.may(EINVAL);
  } else {
    allowed.must(EINVAL);
  }
  allowed.check(result, "ibv_modify_qp");
  if (result != 0 || own.state != IBV_QPS_SQE) return;
  // From SQE its sends go on; whether it was there already is not known before all has settled.
  if (unsure) link.loose = own.revived = true;
  own.state = IBV_QPS_RTS;
  own.broken = own.failing = false;
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

void Model::reregistered(int connection, int side, bool writable) {
  Link& link = links_[size_t(connection)];
  link.ends[side].writable = writable;
  ++marks_.reregistered;
  // What still waits may come with the rights, and the key, of before.
  for (const Send& send : link.ends[1 - side].sends)
    link.loose = link.loose || !send.decided || send.limbo;
}

void Model::cut(int connection) {
  Link& link = links_[size_t(connection)];
  ++marks_.cuts;
  ++link.cuts;
  // What waits for a receive at the other end may have got there or not.
  for (const End& own : link.ends) link.loose = link.loose || own.next_send < own.sends.size();
}

void Model::mended(int connection) {
  Link& link = links_[size_t(connection)];
  --link.cuts;
  for (const End& own : link.ends) {
    for (const Send& send : own.sends) link.loose = link.loose || send.limbo;
  }
}

void Model::saw_state(int connection, int side, ibv_qp_state state) const {
  const Link& link = links_[size_t(connection)];
  ibv_qp_state expected = link.ends[side].state;
  bool unsure = (link.settling || link.loose) &&
                (state == IBV_QPS_RTS || state == IBV_QPS_SQE || state == IBV_QPS_ERR);
  if (state == expected || (unsure && expected != IBV_QPS_RESET)) return;
  throw Violation(
      fmt::format("the queue pair is in state {}, expected {}", int(state), int(expected)));
}

}  // namespace railyard::fuzz
