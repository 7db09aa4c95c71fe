#include "passthrough/drops.h"

#include <algorithm>

#include "passthrough/rules.h"

namespace railyard::passthrough {

Drops& Drops::instance() {
  static Drops& drops = *new Drops;
  return drops;
}

Drops::Drops() {
  const auto& rules = Rules::instance().at(Point::post_send);
  possible_ = std::any_of(rules.begin(), rules.end(),
                          [](const Rule* rule) { return rule->deed == Deed::drop; });
}

void Drops::created(const ibv_qp* pair, bool all_signaled) {
  if (!possible_) return;
  std::lock_guard lock(mutex_);
  pairs_[{pair->context, pair->qp_num}] = {all_signaled, 0, 0};
}

void Drops::destroyed(const ibv_cq* queue) {
  if (!possible_) return;
  std::lock_guard lock(mutex_);
  owed_.erase(queue);
}

void Drops::posted(const ibv_qp* pair, const ibv_send_wr& request) {
  std::lock_guard lock(mutex_);
  Pair& its = pairs_[{pair->context, pair->qp_num}];
  if (its.all_signaled || (request.send_flags & IBV_SEND_SIGNALED)) ++its.posted;
}

void Drops::dropped(const ibv_qp* pair, const ibv_send_wr& request) {
  std::lock_guard lock(mutex_);
  Pair& its = pairs_[{pair->context, pair->qp_num}];
  if (!its.all_signaled && !(request.send_flags & IBV_SEND_SIGNALED)) return;
  ibv_wc completion{};
  completion.wr_id = request.wr_id;
  completion.status = IBV_WC_SUCCESS;
  completion.opcode = IBV_WC_SEND;
  completion.qp_num = pair->qp_num;
  owed_[pair->send_cq].push_back({completion, its.posted});
}

void Drops::note(const ibv_context* context, const ibv_wc& completion) {
  std::lock_guard lock(mutex_);
  // The opcode of a completion in error says nothing; counting a receive then lets a dropped send
  // complete early on a pair that is broken anyway.
  bool send = !(completion.opcode & IBV_WC_RECV) || completion.status != IBV_WC_SUCCESS;
  if (send) ++pairs_[{context, completion.qp_num}].completed;
}

bool Drops::take(const ibv_cq* queue, ibv_wc& completion) {
  std::lock_guard lock(mutex_);
  std::deque<Owed>& owed = owed_[queue];
  for (auto each = owed.begin(); each != owed.end(); ++each) {
    if (pairs_[{queue->context, each->completion.qp_num}].completed < each->after) continue;
    completion = each->completion;
    owed.erase(each);
    return true;
  }
  return false;
}

}  // namespace railyard::passthrough
