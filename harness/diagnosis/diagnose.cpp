#include "diagnosis/diagnose.h"

#include <fmt/format.h>

#include <algorithm>

#include "diagnosis/rules.h"
#include "railyard/verdict.h"

namespace railyard::harness {

namespace {

// "rank 0 failed first: ...", with that rank's own words.
bool quotes_another(const RankError& error, const Evidence& evidence) {
  return std::any_of(evidence.ranks.begin(), evidence.ranks.end(), [&](const RankEvidence& rank) {
    return rank.error && !rank.error->message.empty() &&
           error.message.size() > rank.error->message.size() &&
           error.message.find(rank.error->message) != std::string::npos;
  });
}

// A rank whose error only says that another went: not the cause.
bool follows(const RankError& error, const Evidence& evidence) {
  if (quotes_another(error, evidence)) return true;
  if (error.code == "aborted" || error.code == "group-unusable") return true;
  if (error.code != "side-channel-lost" && error.code != "peer-dead") return false;
  return std::any_of(evidence.ranks.begin(), evidence.ranks.end(), [&](const RankEvidence& rank) {
    return (error.peer < 0 || rank.rank == error.peer) && rank.error && &*rank.error != &error &&
           rank.error->code != "side-channel-lost" && rank.error->code != "peer-dead";
  });
}

// The rank whose error came first and is not another's consequence.
const RankEvidence* first_to_fail(const Evidence& evidence) {
  const RankEvidence* first = nullptr;
  for (const RankEvidence& rank : evidence.ranks) {
    if (!rank.error || rank.error->code.empty()) continue;
    bool better = !first || (follows(*first->error, evidence) && !follows(*rank.error, evidence));
    bool equal = first && follows(*first->error, evidence) == follows(*rank.error, evidence);
    if (better || (equal && rank.ended_at_ns != 0 && rank.ended_at_ns < first->ended_at_ns)) {
      first = &rank;
    }
  }
  return first;
}

Diagnosis from_error(const RankEvidence& rank) {
  const RankError& error = *rank.error;
  Diagnosis diagnosis{"error", "", {}, {}};
  static const std::vector<std::string> same_name = {"limit-reached",     "completion-error",
                                                     "side-channel-lost", "mismatched-collectives",
                                                     "peer-dead",         "configuration"};
  if (error.status.find("RNR_RETRY") != std::string::npos) {
    diagnosis.verdict = "receiver-not-ready";
  } else if (error.status == "IBV_WC_LOC_LEN_ERR") {
    // The message did not fit its receive; the queue pair that counted it is gone.
    diagnosis.verdict = "frame-count-mismatch";
  } else if (error.code == "deadline-exceeded" && error.operation == "bootstrap") {
    // Nobody says why it did not come: nothing was heard of it.
    diagnosis.verdict = "side-channel-lost";
  } else if (std::find(same_name.begin(), same_name.end(), error.code) != same_name.end()) {
    diagnosis.verdict = error.code;
  }
  diagnosis.headline = fmt::format("rank {} failed: {}", rank.rank, error.message);
  add_name(diagnosis, fmt::format("rank {}", rank.rank));
  if (error.peer >= 0) add_name(diagnosis, fmt::format("rank {}", error.peer));
  if (!error.device.empty()) add_name(diagnosis, error.device);
  return diagnosis;
}

bool concerns_cables(const RankEvidence* rank) {
  return rank && (rank->error->code == "peer-unreachable" || rank->error->code == "device" ||
                  rank->error->code == "deadline-exceeded");
}

Diagnosis with_waits(Diagnosis diagnosis, const Evidence& evidence) {
  for (const std::string& line : waits(evidence)) {
    if (!line.empty()) diagnosis.details.push_back(line);
  }
  return diagnosis;
}

std::optional<Diagnosis> first_of(const View& view, std::initializer_list<Rule> rules) {
  for (Rule rule : rules) {
    if (auto diagnosis = rule(view)) return diagnosis;
  }
  return std::nullopt;
}

Diagnosis of_a_stuck_run(const View& view) {
  if (auto diagnosis =
          first_of(view, {rank_crashed, peer_dead, peer_stopped, context_limit, call_blocked,
                          device_broken, crossed_rails, cable_unplugged, frame_count_mismatch,
                          message_dropped, receiver_not_ready, completion_error, message_lost})) {
    return *diagnosis;
  }
  // A rank that has failed by itself explains why the others wait.
  if (const RankEvidence* failed = first_to_fail(view.evidence())) {
    Diagnosis diagnosis = from_error(*failed);
    if (diagnosis.verdict != "error") return diagnosis;
    if (auto known = first_of(view, {address_unknown, limit_reached})) {
      known->details.push_back(diagnosis.headline);
      return *known;
    }
    return diagnosis;
  }
  if (auto diagnosis = first_of(view, {mismatched_collectives, receive_never_filled,
                                       group_too_small, ended_early, all_outside})) {
    return *diagnosis;
  }
  return with_waits(
      {"stuck", "every rank waits, nothing is in flight and no timer is pending", {}, {}},
      view.evidence());
}

Diagnosis of_an_ended_run(const View& view) {
  const Evidence& evidence = view.evidence();
  if (auto diagnosis = first_of(view, {rank_crashed, peer_dead})) return *diagnosis;
  const RankEvidence* failed = first_to_fail(evidence);
  if (concerns_cables(failed)) {
    if (auto diagnosis =
            first_of(view, {device_broken, address_unknown, crossed_rails, cable_unplugged,
                            frame_count_mismatch, message_dropped, message_lost})) {
      diagnosis->details.push_back(from_error(*failed).headline);
      return *diagnosis;
    }
  }
  if (failed) {
    Diagnosis diagnosis = from_error(*failed);
    if (diagnosis.verdict == "mismatched-collectives") {
      // What follows a lost message is not what was expected.
      if (auto lost = message_lost(view)) {
        lost->details.push_back(diagnosis.headline);
        return *lost;
      }
    }
    if (diagnosis.verdict == "error" || diagnosis.verdict == "side-channel-lost" ||
        diagnosis.verdict == "limit-reached") {
      if (auto refused = limit_reached(view)) {
        refused->details.push_back(diagnosis.headline);
        return *refused;
      }
    }
    if (diagnosis.verdict != "error" && diagnosis.verdict != "completion-error") return diagnosis;
    if (auto fabric = first_of(
            view, {device_broken, receiver_not_ready, frame_count_mismatch, completion_error})) {
      for (const std::string& name : diagnosis.names) add_name(*fabric, name);
      fabric->details.push_back(diagnosis.headline);
      return *fabric;
    }
    return diagnosis;
  }
  for (const RankEvidence& rank : evidence.ranks) {
    if (rank.finished || rank.ended_by_harness) continue;
    Diagnosis diagnosis{"error", "", {}, {fmt::format("rank {}", rank.rank)}};
    diagnosis.headline =
        rank.alive ? fmt::format("rank {} is still running", rank.rank)
        : rank.signal
            ? fmt::format("rank {} was ended by signal {}", rank.rank, *rank.signal)
            : fmt::format("rank {} exited with code {}", rank.rank, rank.exit.value_or(0));
    return diagnosis;
  }
  if (auto diagnosis = first_of(view, {status_unread, group_too_small, backend_replaced})) {
    return *diagnosis;
  }
  return {"ok", "every rank ended well", {}, {}};
}

}  // namespace

Diagnosis diagnose(const Evidence& evidence) {
  View view(evidence);
  return evidence.stuck ? of_a_stuck_run(view) : of_an_ended_run(view);
}

Diagnosis explain_data(Diagnosis wrong, const Evidence& end) {
  View view(end);
  if (auto unread = status_unread(view)) {
    unread->details.push_back(wrong.headline);
    return *unread;
  }
  for (const fabric::PortView& port : end.snapshot.ports) {
    if (port.changed_in_flight == 0) continue;
    std::string name = view.port_name(end.snapshot.devices[static_cast<size_t>(port.device)].port);
    wrong.details.push_back(fmt::format(
        "stale-input: the memory of {} messages changed after they were posted on {}, before "
        "they were complete: their producer had not finished",
        port.changed_in_flight, name));
    add_name(wrong, "stale-input");
    add_name(wrong, name);
  }
  return wrong;
}

std::vector<std::string> waits(const Evidence& evidence) {
  View view(evidence);
  std::vector<std::string> lines;
  for (const RankEvidence& rank : evidence.ranks) {
    std::string line;
    if (rank.alive && !rank.waiting.empty()) {
      line =
          fmt::format("rank {}{} {}", rank.rank,
                      rank.place.empty() ? "" : fmt::format(" (in {})", rank.place), rank.waiting);
      for (const fabric::QueuePairView& pair : evidence.snapshot.queue_pairs) {
        if (view.rank_of(pair) != rank.rank) continue;
        std::string on =
            fmt::format("on rail {} ({})", view.rail_of(pair), view.port_name(view.port_of(pair)));
        if (view.unfilled(pair) > 0) {
          line += fmt::format("; for rank {} {}: {} receives not filled", view.peer_rank_of(pair),
                              on, view.unfilled(pair));
        }
        if (view.unsettled(pair) > 0) {
          line += fmt::format("; for rank {} {}: {} sends not settled", view.peer_rank_of(pair), on,
                              view.unsettled(pair));
        }
      }
    } else if (!rank.alive) {
      line = rank.finished ? fmt::format("rank {} has finished", rank.rank)
                           : fmt::format("rank {} has ended", rank.rank);
    }
    lines.push_back(line);
  }
  return lines;
}

}  // namespace railyard::harness
