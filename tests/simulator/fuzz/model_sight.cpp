// What each completion may be, and what memory must hold.
#include <fmt/format.h>

#include <algorithm>

#include "model.h"
#include "opcodes.h"

namespace railyard::fuzz {
namespace {

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

}  // namespace

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
      if (!may_be_silent || (own.broken && !own.revived))
        refuse(send, "its completion before that of a later request");
    } else if (link.loose) {
      if (own.broken && !own.revived && completion.status != IBV_WC_WR_FLUSH_ERR)
        refuse(send, "a flush, after an error");
      if (success && send.barred) refuse(send, "a flush: it follows a request that failed");
    } else if (send.limbo) {
      if (!success && !(own.flushes() && completion.status == IBV_WC_WR_FLUSH_ERR)) {
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
      own.silent_units = 0;
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

}  // namespace railyard::fuzz
