// The causes that can be read from the fabric, each by its own rule.
#pragma once

#include <optional>

#include "diagnosis/view.h"

namespace railyard::harness {

using Rule = std::optional<Diagnosis> (*)(const View&);

// Of processes.
std::optional<Diagnosis> rank_crashed(const View& view);
std::optional<Diagnosis> peer_dead(const View& view);
std::optional<Diagnosis> peer_stopped(const View& view);
std::optional<Diagnosis> ended_early(const View& view);  // well, while others wait for it
std::optional<Diagnosis> call_blocked(const View& view);
std::optional<Diagnosis> all_outside(const View& view);

// Of the groups that ranks say they have made.
std::optional<Diagnosis> group_too_small(const View& view);
std::optional<Diagnosis> backend_replaced(const View& view);

// Of devices.
std::optional<Diagnosis> context_limit(const View& view);
std::optional<Diagnosis> limit_reached(const View& view);
std::optional<Diagnosis> device_broken(const View& view);
std::optional<Diagnosis> address_unknown(const View& view);

// Of cables.
std::optional<Diagnosis> crossed_rails(const View& view);
std::optional<Diagnosis> cable_unplugged(const View& view);

// Of messages.
std::optional<Diagnosis> frame_count_mismatch(const View& view);
std::optional<Diagnosis> message_dropped(const View& view);
std::optional<Diagnosis> receiver_not_ready(const View& view);
std::optional<Diagnosis> completion_error(const View& view);
std::optional<Diagnosis> message_lost(const View& view);
std::optional<Diagnosis> receive_never_filled(const View& view);
// Each of two ranks waits for the other, in another operation than the other is in.
std::optional<Diagnosis> mismatched_collectives(const View& view);
// No rank has complained, and yet a completion was in error.
std::optional<Diagnosis> status_unread(const View& view);

}  // namespace railyard::harness
