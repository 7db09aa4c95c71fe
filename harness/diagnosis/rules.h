// The causes that can be read from the fabric, each by its own rule.
#pragma once

#include <optional>

#include "diagnosis/view.h"

namespace railyard::harness {

using Rule = std::optional<Diagnosis> (*)(const View&);

// Of processes.
std::optional<Diagnosis> peer_dead(const View& view);
std::optional<Diagnosis> peer_stopped(const View& view);
std::optional<Diagnosis> context_limit(const View& view);

// Of cables.
std::optional<Diagnosis> crossed_rails(const View& view);
std::optional<Diagnosis> cable_unplugged(const View& view);

// Of messages.
std::optional<Diagnosis> frame_count_mismatch(const View& view);
std::optional<Diagnosis> message_dropped(const View& view);
std::optional<Diagnosis> receiver_not_ready(const View& view);
std::optional<Diagnosis> completion_error(const View& view);
std::optional<Diagnosis> receive_never_filled(const View& view);

}  // namespace railyard::harness
