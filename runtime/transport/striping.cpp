#include "transport/striping.h"

#include <algorithm>

namespace railyard {

Rail* Striping::deal(const std::vector<Rail*>& rails) {
  Rail* best = nullptr;
  uint64_t best_most = 1, best_awaited = 0;
  for (size_t step = 0; step < rails.size(); ++step) {
    size_t i = (turn_ + step) % rails.size();
    Rail* rail = rails[i];
    uint64_t most = std::min(shares_[i].ahead, rail->most_grants()), awaited = rail->awaited();
    if (awaited >= most || !rail->can_grant()) continue;
    // The emptiest one, for its share.
    if (best && (awaited + 1) * best_most >= (best_awaited + 1) * most) continue;
    best = rail;
    best_most = most;
    best_awaited = awaited;
  }
  if (!best) return nullptr;
  Share& share = shares_[static_cast<size_t>(best->index())];
  if (best_awaited == 0 && !share.was_late && share.ahead < best->most_grants()) ++share.ahead;
  share.was_late = false;
  turn_ = static_cast<size_t>(best->index()) + 1;
  return best;
}

void Striping::look_for_idle(const std::vector<Rail*>& rails, const Rail& late, uint32_t message) {
  bool idle = std::any_of(rails.begin(), rails.end(), [](const Rail* rail) {
    return rail->awaited() == 0 && !rail->can_grant();
  });
  if (!idle || message == waited_for_) return;
  waited_for_ = message;  // one wait counts once
  Share& share = shares_[static_cast<size_t>(late.index())];
  share.ahead = std::max(std::min(share.ahead, late.most_grants()), 2u) - 1;
  share.was_late = true;
}

}  // namespace railyard
