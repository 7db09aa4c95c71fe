#include <fmt/format.h>

#include "diagnosis/rules.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

// The headline is the first finding, the rest are details.
void add_line(Diagnosis& diagnosis, const std::string& line) {
  if (diagnosis.headline.empty()) {
    diagnosis.headline = line;
  } else {
    diagnosis.details.push_back(line);
  }
}

void name_both(const View& view, const fabric::QueuePairView& pair, Diagnosis& diagnosis) {
  add_name(diagnosis, fmt::format("rank {}", view.rank_of(pair)));
  add_name(diagnosis, view.port_name(view.port_of(pair)));
  if (view.peer_rank_of(pair) >= 0) {
    add_name(diagnosis, fmt::format("rank {}", view.peer_rank_of(pair)));
    if (pair.peer_port >= 0) add_name(diagnosis, view.port_name(pair.peer_port));
  }
}

std::optional<Diagnosis> found(Diagnosis&& diagnosis) {
  if (diagnosis.headline.empty()) return std::nullopt;
  return std::move(diagnosis);
}

// "all_sum" of "all_sum, iteration 50"; "" outside of operations.
std::string operation_of(const RankEvidence& rank) {
  size_t end = rank.place.find(',');
  return end == std::string::npos ? "" : rank.place.substr(0, end);
}

const char* plural(uint64_t count) { return count == 1 ? "" : "s"; }

}  // namespace

std::optional<Diagnosis> frame_count_mismatch(const View& view) {
  Diagnosis diagnosis{"frame-count-mismatch", "", {}, {}};
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    if (pair.frame_mismatches == 0) continue;
    add_line(diagnosis, fmt::format("{} message{} met a receive of another number of frames at {}",
                                    pair.frame_mismatches, plural(pair.frame_mismatches),
                                    view.describe(pair)));
    name_both(view, pair, diagnosis);
  }
  return found(std::move(diagnosis));
}

std::optional<Diagnosis> message_dropped(const View& view) {
  Diagnosis diagnosis{"message-dropped-no-receive", "", {}, {}};
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    if (pair.dropped_no_receive == 0) continue;
    std::string posted =
        pair.receive_posted_after_drop_ns > 0
            ? fmt::format("a receive was posted {} after the last of them arrived",
                          format_ns(pair.receive_posted_after_drop_ns - pair.dropped_at_ns))
            : "no receive was posted after that";
    add_line(diagnosis,
             fmt::format("{} message{} from rank {} found no receive at {} and {} dropped; {}",
                         pair.dropped_no_receive, plural(pair.dropped_no_receive),
                         view.peer_rank_of(pair), view.describe(pair),
                         pair.dropped_no_receive == 1 ? "was" : "were", posted));
    name_both(view, pair, diagnosis);
  }
  return found(std::move(diagnosis));
}

std::optional<Diagnosis> receiver_not_ready(const View& view) {
  Diagnosis diagnosis{"receiver-not-ready", "", {}, {}};
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    bool gave_up = pair.last_error.find("RNR_RETRY") != std::string::npos;
    // A receiver that answers RNR for ever keeps its peer waiting.
    bool for_ever =
        view.evidence().stuck && pair.receiver_not_ready > 0 && view.unfilled(pair) == 0;
    if (!gave_up && !for_ever) continue;
    add_line(diagnosis,
             gave_up
                 ? fmt::format("{} gave up: rank {} had no receive for its message ({})",
                               view.describe(pair), view.peer_rank_of(pair), pair.last_error)
                 : fmt::format("{} has no receive and answered RNR {} time{}", view.describe(pair),
                               pair.receiver_not_ready, plural(pair.receiver_not_ready)));
    name_both(view, pair, diagnosis);
  }
  return found(std::move(diagnosis));
}

std::optional<Diagnosis> completion_error(const View& view) {
  Diagnosis diagnosis{"completion-error", "", {}, {}};
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    if (pair.completions_in_error == 0) continue;
    add_line(diagnosis, fmt::format("{} has {} completion{} in error, the last is {}",
                                    view.describe(pair), pair.completions_in_error,
                                    plural(pair.completions_in_error), pair.last_error));
    name_both(view, pair, diagnosis);
  }
  return found(std::move(diagnosis));
}

std::optional<Diagnosis> message_lost(const View& view) {
  Diagnosis diagnosis{"message-lost", "", {}, {}};
  auto name_cable = [&](int port) {
    std::string cable = view.cable_name(view.cable_of_port(port));
    add_name(diagnosis, cable);
    return cable;
  };
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    if (!pair.reachable || pair.peer < 0) continue;
    const auto& peer = view.snapshot().queue_pairs[static_cast<size_t>(pair.peer)];
    // Nothing is in flight, a receive waits, and yet it has not come.
    bool held = view.evidence().stuck && view.unsettled(pair) > 0 && view.unfilled(peer) > 0;
    if (pair.sends_lost == 0 && !held) continue;
    std::string cable = name_cable(view.port_of(pair));
    std::string lost = fmt::format("{} of {} message{}", pair.sends_lost, pair.sends_posted,
                                   plural(pair.sends_posted));
    add_line(diagnosis,
             fmt::format("{} of {} {} on cable {}", held ? "a message" : lost, view.describe(pair),
                         held ? "is held for good" : "left and never arrived", cable));
    name_both(view, pair, diagnosis);
  }
  if (!diagnosis.headline.empty() || view.evidence().stuck) return found(std::move(diagnosis));
  // The queue pairs are gone; their ports remember.
  const auto& ports = view.snapshot().ports;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].messages_lost == 0 || ports[i].cable < 0) continue;
    auto port = static_cast<int>(i);
    std::string cable = name_cable(port);
    add_line(diagnosis, fmt::format("{} message{} from {} left and never arrived on cable {}",
                                    ports[i].messages_lost, plural(ports[i].messages_lost),
                                    view.port_name(port), cable));
    add_name(diagnosis, view.port_name(port));
  }
  return found(std::move(diagnosis));
}

std::optional<Diagnosis> status_unread(const View& view) {
  Diagnosis diagnosis{"completion-error", "", {}, {}};
  for (const RankEvidence& rank : view.evidence().ranks) {
    if (rank.error) return std::nullopt;
  }
  const auto& ports = view.snapshot().ports;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].completions_in_error == 0) continue;
    auto port = static_cast<int>(i);
    int rank = view.snapshot().devices[static_cast<size_t>(ports[i].device)].node;
    add_line(diagnosis,
             fmt::format("rank {} had {} completion{} in error on {} ({}) and went on as "
                         "if it had not: it does not read their status",
                         rank, ports[i].completions_in_error, plural(ports[i].completions_in_error),
                         view.port_name(port), ports[i].last_error));
    add_name(diagnosis, fmt::format("rank {}", rank));
    add_name(diagnosis, view.port_name(port));
    add_name(diagnosis, "status-unread");
  }
  return found(std::move(diagnosis));
}

std::optional<Diagnosis> mismatched_collectives(const View& view) {
  auto waits_to_receive = [&](const fabric::QueuePairView& pair) {
    const RankEvidence* rank = view.rank(view.rank_of(pair));
    return rank && rank->alive && !rank->waiting.empty() && view.unfilled(pair) > 0 &&
           view.unsettled(pair) == 0;
  };
  Diagnosis diagnosis{"mismatched-collectives", "", {}, {}};
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    if (pair.peer < 0 || !waits_to_receive(pair)) continue;
    const auto& peer = view.snapshot().queue_pairs[static_cast<size_t>(pair.peer)];
    const RankEvidence *here = view.rank(view.rank_of(pair)),
                       *there = view.rank(view.rank_of(peer));
    // Once for both.
    if (!waits_to_receive(peer) || here->rank >= there->rank) continue;
    std::string mine = operation_of(*here), theirs = operation_of(*there);
    if (mine.empty() || theirs.empty() || mine == theirs) continue;
    add_line(diagnosis,
             fmt::format("rank {} is in {} and rank {} in {}; each waits for messages of the other "
                         "({} and {} receives not filled), and neither has one to send",
                         here->rank, here->place, there->rank, there->place, view.unfilled(pair),
                         view.unfilled(peer)));
    name_both(view, pair, diagnosis);
  }
  return found(std::move(diagnosis));
}

std::optional<Diagnosis> receive_never_filled(const View& view) {
  Diagnosis diagnosis{"receive-never-filled", "", {}, {}};
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    const RankEvidence* rank = view.rank(view.rank_of(pair));
    if (view.unfilled(pair) == 0 || !rank || !rank->alive || rank->waiting.empty()) continue;
    const fabric::QueuePairView* peer =
        pair.peer >= 0 ? &view.snapshot().queue_pairs[static_cast<size_t>(pair.peer)] : nullptr;
    if (peer && view.unsettled(*peer) > 0) continue;
    add_line(
        diagnosis,
        fmt::format("rank {} waits for {} receive{} on rail {} ({}, queue pair {}; {} posted, {} "
                    "filled) that no send will fill: rank {} has none outstanding{}",
                    rank->rank, view.unfilled(pair), plural(view.unfilled(pair)),
                    view.rail_of(pair), view.port_name(view.port_of(pair)), pair.number,
                    pair.receives_posted, pair.receives_filled, view.peer_rank_of(pair),
                    peer ? fmt::format(" (it sent {})", peer->sends_posted) : " (it is gone)"));
    add_name(diagnosis, fmt::format("rank {}", rank->rank));
    add_name(diagnosis, view.port_name(view.port_of(pair)));
  }
  return found(std::move(diagnosis));
}

}  // namespace railyard::harness
