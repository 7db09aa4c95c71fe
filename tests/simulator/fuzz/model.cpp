// The model's begin and what must still come.
#include "model.h"

#include <fmt/format.h>

#include "opcodes.h"

namespace railyard::fuzz {

Model::Model(const Plan& plan) : rules_(rules_of(plan.profile)), plan_(plan) {
  for (const ConnectionPlan& connection : plan.connections) {
    links_.emplace_back();
    links_.back().type = connection.type;
    for (int side : {0, 1}) links_.back().ends[side].shared = connection.ends[side].shared;
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
  own.residue = own.shared;
  own.sends.clear();
  own.receives.clear();
  own.next_send = own.next_receive = 0;
  own.messages.clear();
  own.taken = 0;
  own.broken = own.failing = own.revived = false;
  own.silent_units = 0;
}

void Model::created(int connection, int side, const EndInfo& info) {
  End& own = end(connection, side);
  own.exists = true;
  own.state = IBV_QPS_RESET;
  own.residue = false;
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
      if ((all && !own.shared) || (!link.loose && receive.decided)) {
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
      own.silent_units += own.sends.front().units;
      own.sends.pop_front();
      if (own.next_send > 0) --own.next_send;
    }
  }
}

}  // namespace railyard::fuzz
