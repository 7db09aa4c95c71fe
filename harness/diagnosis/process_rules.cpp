#include <fmt/format.h>
#include <string.h>

#include "diagnosis/rules.h"
#include "platform/signals.h"

namespace railyard::harness {

namespace {

bool somebody_else_suffers(const View& view, int rank) {
  bool stuck = view.evidence().stuck;  // then all wait, in whatever way
  for (const RankEvidence& other : view.evidence().ranks) {
    bool waits = other.alive && (stuck || !other.waiting.empty());
    if (other.rank != rank && (waits || other.error)) return true;
  }
  return false;
}

std::string how_it_ended(const RankEvidence& rank) {
  if (rank.signal)
    return fmt::format("was ended by signal {} ({})", *rank.signal, strsignal(*rank.signal));
  return fmt::format("exited with code {}", rank.exit.value_or(0));
}

}  // namespace

std::optional<Diagnosis> rank_crashed(const View& view) {
  Diagnosis diagnosis{"rank-crashed", "", {}, {}};
  for (const RankEvidence& rank : view.evidence().ranks) {
    bool crash = !rank.alive && !rank.ended_by_harness && rank.signal && is_crash(*rank.signal);
    if (!crash) continue;
    std::string verb;
    for (const fabric::ProcessView& process : view.snapshot().processes) {
      if (process.pid == rank.pid) verb = process.verb;
    }
    std::string line = fmt::format(
        "rank {} (pid {}) {}{}{}", rank.rank, rank.pid, how_it_ended(rank),
        rank.place.empty() ? "" : fmt::format(" in {}", rank.place),
        verb.empty() ? "" : fmt::format("; its last verb, posts and polls aside, was {}", verb));
    if (diagnosis.headline.empty()) {
      diagnosis.headline = line;
    } else {
      diagnosis.details.push_back(line);
    }
    add_name(diagnosis, fmt::format("rank {}", rank.rank));
    if (!verb.empty()) add_name(diagnosis, verb);
  }
  if (diagnosis.headline.empty()) return std::nullopt;
  // A driver that cannot bear a pulled cable: the cable is the cause.
  if (auto cable = cable_unplugged(view)) {
    cable->details.push_back(diagnosis.headline);
    for (const std::string& name : diagnosis.names) add_name(*cable, name);
    return cable;
  }
  return diagnosis;
}

std::optional<Diagnosis> peer_dead(const View& view) {
  for (const RankEvidence& rank : view.evidence().ranks) {
    // An error of its own is a cause in its own right; see the ranks' errors.
    bool dead = !rank.alive && !rank.finished && !rank.ended_by_harness && !rank.error &&
                (rank.signal || rank.exit.value_or(0) != 0);
    if (!dead || !somebody_else_suffers(view, rank.rank)) continue;
    Diagnosis diagnosis{"peer-dead", "", {}, {}};
    diagnosis.headline = fmt::format("rank {} (pid {}) {}{}; others wait for it", rank.rank,
                                     rank.pid, how_it_ended(rank),
                                     rank.place.empty() ? "" : fmt::format(" in {}", rank.place));
    add_name(diagnosis, fmt::format("rank {}", rank.rank));
    return diagnosis;
  }
  return std::nullopt;
}

std::optional<Diagnosis> peer_stopped(const View& view) {
  for (const RankEvidence& rank : view.evidence().ranks) {
    if (!rank.alive || !rank.stopped) continue;
    Diagnosis diagnosis{"peer-stopped", "", {}, {}};
    diagnosis.headline =
        fmt::format("rank {} (pid {}) is stopped{}; others wait for it", rank.rank, rank.pid,
                    rank.place.empty() ? "" : fmt::format(" in {}", rank.place));
    diagnosis.details.push_back(fmt::format("resume it with: kill -CONT {}", rank.pid));
    add_name(diagnosis, fmt::format("rank {}", rank.rank));
    return diagnosis;
  }
  return std::nullopt;
}

std::optional<Diagnosis> ended_early(const View& view) {
  for (const RankEvidence& rank : view.evidence().ranks) {
    if (rank.alive || !rank.finished || !somebody_else_suffers(view, rank.rank)) continue;
    Diagnosis diagnosis{"peer-dead", "", {}, {fmt::format("rank {}", rank.rank)}};
    diagnosis.headline =
        fmt::format("rank {} (pid {}) has ended, with exit code 0, and others wait for it",
                    rank.rank, rank.pid);
    return diagnosis;
  }
  return std::nullopt;
}

std::optional<Diagnosis> call_blocked(const View& view) {
  Diagnosis diagnosis{"call-blocked", "", {}, {}};
  for (const fabric::ProcessView& process : view.snapshot().processes) {
    // These wait for an event or for room, as they should.
    bool waits_by_nature = process.verb == "ibv_get_cq_event" ||
                           process.verb == "ibv_get_async_event" || process.blocked_device >= 0 ||
                           process.waits_for.find("arrival") != std::string::npos;
    if (!process.alive || process.activity != fabric::Activity::blocked || waits_by_nature)
      continue;
    std::string line = fmt::format("rank {} (pid {}) called {}, which does not return",
                                   process.node, process.pid, process.verb);
    if (diagnosis.headline.empty()) {
      diagnosis.headline = line;
    } else {
      diagnosis.details.push_back(line);
    }
    add_name(diagnosis, fmt::format("rank {}", process.node));
    add_name(diagnosis, process.verb);
  }
  if (diagnosis.headline.empty()) return std::nullopt;
  return diagnosis;
}

std::optional<Diagnosis> all_outside(const View& view) {
  Diagnosis diagnosis{"side-channel-lost", "", {}, {}};
  for (const fabric::CompletionQueueView& queue : view.snapshot().completion_queues) {
    if (queue.armed) return std::nullopt;  // what it sleeps in may be an event of the fabric
  }
  for (const RankEvidence& rank : view.evidence().ranks) {
    if (!rank.alive) continue;
    if (!rank.outside) return std::nullopt;
    diagnosis.details.push_back(fmt::format("rank {} {}", rank.rank, rank.waiting));
    add_name(diagnosis, fmt::format("rank {}", rank.rank));
  }
  if (diagnosis.details.empty()) return std::nullopt;
  diagnosis.headline =
      "every rank waits outside of verbs: what they tell each other does not arrive";
  return diagnosis;
}

}  // namespace railyard::harness
