#include "observer/observer.h"

#include <fmt/format.h>

#include <algorithm>

namespace railyard::harness {

using fabric::Activity;
using fabric::ProcessView;

namespace {

constexpr int64_t kMillisecond = 1'000'000;

// All ranks poll or stand inside verbs: the fabric sees everything.
constexpr int64_t kQuietInFabric = 30 * kMillisecond;
constexpr int kGrownLooks = 3;
// Some rank waits outside of verbs. Pauses between retries (connecting, a side channel's beat) are
// shorter than this, and the verdict still comes within 250 ms.
constexpr int64_t kQuietOutside = 150 * kMillisecond;
// Nobody is in the fabric at all, and somebody else or a time-out may let a rank go on.
constexpr int64_t kQuietUnseen = 1000 * kMillisecond;
// A rank that only keeps its side channel alive uses less of a processor than this: one part in so
// many, and what a wake-up or two cost.
constexpr int64_t kIdleShare = 500;
constexpr uint64_t kIdleWork = 200'000;  // nanoseconds
// And one that only tries again every few milliseconds less than this part of one.
constexpr int64_t kRetryShare = 20;

// A rank that polls does so again before it has used so much of a processor.
constexpr uint64_t kBetweenPolls = 1'000'000;  // nanoseconds

enum class Kind {
  running,  // will go on by itself
  fabric,   // the fabric says that it waits, or it is stopped
  outside,  // sleeps until another process does something
  waking,   // is about to run or runs: its use of the processor tells
};

Kind kind_of(const RankLook& rank, const ProcessView* view) {
  if (rank.state.kind == ProcessState::Kind::stopped) return Kind::fabric;
  if (rank.computing) return Kind::running;
  if (view && view->activity == Activity::blocked) return Kind::fabric;
  if (view && view->activity == Activity::polling) return Kind::fabric;
  if (rank.state.waits) return Kind::outside;
  return rank.state.kind == ProcessState::Kind::running ? Kind::waking : Kind::running;
}

}  // namespace

const ProcessView* process_of(const fabric::Snapshot& snapshot, int rank, pid_t pid) {
  const ProcessView* found = nullptr;
  auto closeness = [&](const ProcessView& view) {
    return 2 * (view.pid == pid) + (view.alive && view.node == rank);
  };
  for (const ProcessView& view : snapshot.processes) {
    if (view.pid != pid && !(view.alive && view.node == rank)) continue;
    if (found == nullptr || closeness(view) >= closeness(*found)) found = &view;
  }
  return found;
}

std::string Observer::waiting(const RankLook& rank, const ProcessView* view) {
  if (!rank.alive) return "";
  if (rank.state.kind == ProcessState::Kind::stopped) return "is stopped";
  if (rank.computing) return "";
  if (view && view->activity == Activity::polling) {
    return fmt::format("polls in vain ({} empty polls)", view->empty_polls);
  }
  if (view && view->activity == Activity::blocked) {
    return view->waits_for.empty() ? fmt::format("is inside {}", view->verb)
                                   : fmt::format("is inside {}: {}", view->verb, view->waits_for);
  }
  if (rank.state.waits) {
    return fmt::format("waits outside of verbs, in {}",
                       rank.state.waits_in.empty() ? "a system call" : rank.state.waits_in);
  }
  return "";
}

bool Observer::outside(const RankLook& rank, const ProcessView* view) {
  return rank.alive && kind_of(rank, view) == Kind::outside;
}

bool Observer::changed(const Look& now) const {
  uint64_t iterations = 0;
  int alive = 0;
  for (const RankLook& rank : now.ranks) {
    iterations += rank.iterations;
    alive += rank.alive;
  }
  return first_ || now.snapshot.activity != activity_ || now.snapshot.in_flight > 0 || now.timers ||
         iterations != iterations_ || alive != alive_ || alive == 0;
}

void Observer::restart(const Look& now) {
  first_ = false;
  activity_ = now.snapshot.activity;
  iterations_ = 0;
  alive_ = 0;
  quiet_since_ns_ = now.now_ns;
  seen_.clear();
  for (const RankLook& rank : now.ranks) {
    iterations_ += rank.iterations;
    alive_ += rank.alive;
    const ProcessView* view = process_of(now.snapshot, rank.rank, rank.pid);
    seen_[rank.rank] = {view ? view->empty_polls : 0, 0, rank.state.cpu_ns, rank.state.cpu_ns,
                        rank.state.wakeups};
  }
}

// A rank that has polled in this quiet and did not get a processor since the last look, or hardly.
bool Observer::between_polls(const RankLook& rank, const Seen& seen) {
  return seen.grown > 0 && rank.state.cpu_ns - seen.polled_cpu_ns < kBetweenPolls;
}

bool Observer::worked(const RankLook& rank, const Seen& seen, int64_t quiet, bool orphan) {
  uint64_t used = rank.state.cpu_ns - seen.cpu_ns;
  if (orphan) return used > std::max(kIdleWork, static_cast<uint64_t>(quiet / kRetryShare));
  // In start-up a rank that woke up at all may have tried again; later, small beats are usual.
  if (rank.starting) return used > 0 || rank.state.wakeups != seen.wakeups;
  return used > std::max(kIdleWork, static_cast<uint64_t>(quiet / kIdleShare));
}

int64_t Observer::needed(const Look& now, int in_fabric, int outside) const {
  if (outside == 0) return kQuietInFabric;
  if (now.orphaned) return kQuietUnseen;
  if (in_fabric > 0) return kQuietOutside;
  for (const RankLook& rank : now.ranks) {
    if (rank.alive && rank.state.wait_limit_ns < kQuietUnseen) return kQuietUnseen;
  }
  bool late = now.now_ns - quiet_since_ns_ >= kQuietOutside;
  return late && now.among_themselves() ? kQuietOutside : kQuietUnseen;
}

Observer::Decision Observer::look(const Look& now) {
  if (changed(now)) {
    restart(now);
    return {};
  }
  int64_t quiet = now.now_ns - quiet_since_ns_;
  bool all_wait = true, sure = true;
  int in_fabric = 0, outside = 0;
  for (const RankLook& rank : now.ranks) {
    if (!rank.alive) continue;
    const ProcessView* view = process_of(now.snapshot, rank.rank, rank.pid);
    Seen& seen = seen_[rank.rank];
    Kind kind = kind_of(rank, view);
    bool orphan = now.orphaned && rank.starting && kind != Kind::fabric;
    switch (orphan ? Kind::outside : kind) {
      case Kind::running:
        all_wait = false;
        break;
      case Kind::fabric:
        ++in_fabric;
        if (view && view->activity == Activity::polling &&
            rank.state.kind != ProcessState::Kind::stopped) {
          if (view->empty_polls != seen.empty_polls) {
            ++seen.grown;
            seen.polled_cpu_ns = rank.state.cpu_ns;
          }
          seen.empty_polls = view->empty_polls;
          if (seen.grown < kGrownLooks) sure = false;
        }
        break;
      case Kind::waking:
        sure = false;
        if (between_polls(rank, seen)) {
          ++in_fabric;
          break;
        }
        // On a busy machine a beat of its side channel may take many looks to pass.
        [[fallthrough]];
      case Kind::outside:
        ++outside;
        if (worked(rank, seen, quiet, orphan)) all_wait = false;
        break;
    }
  }
  if (!all_wait) {
    restart(now);
    return {};
  }
  if (!sure || quiet < needed(now, in_fabric, outside)) return {};
  int64_t since = 0;
  for (const ProcessView& view : now.snapshot.processes)
    since = std::max(since, view.progress_at_ns);
  return {true, since > 0 ? since : quiet_since_ns_};
}

}  // namespace railyard::harness
