// How a receiver deals large messages to the rails of a peer that are of different speed.
//
// Messages are taken in order, so one that is late on a slow rail keeps the later ones of fast
// rails in their slots, until those rails have none left and stand idle. A rail that this happens
// to is granted fewer messages ahead of time; one that runs dry before anybody waits for it is
// granted more.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "transport/rail.h"

namespace railyard {

// More rails to one peer are not used.
inline constexpr int kMostRails = 4;

class Striping {
 public:
  // The rail to grant the next message on, which is then to be done; null if none has room now.
  Rail* choose(const std::vector<Rail*>& rails) {
    if (rails.size() == 1) return rails.front()->can_grant() ? rails.front() : nullptr;
    return deal(rails);
  }
  // `message`, the next to be taken, has not come over `late`.
  void note_wait(const std::vector<Rail*>& rails, const Rail& late, uint32_t message) {
    if (rails.size() > 1) look_for_idle(rails, late, message);
  }

 private:
  // Of one rail.
  struct Share {
    uint32_t ahead = ~uint32_t{0};  // grants at most, beside what the rail has room for
    bool was_late = false;          // since its latest grant
  };

  Rail* deal(const std::vector<Rail*>& rails);
  void look_for_idle(const std::vector<Rail*>& rails, const Rail& late, uint32_t message);

  std::array<Share, kMostRails> shares_;
  uint32_t waited_for_ = Rail::kNone;
  size_t turn_ = 0;  // which of rails that are equally empty is next
};

}  // namespace railyard
