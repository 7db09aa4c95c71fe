#include <fmt/format.h>
#include <string.h>

#include "diagnosis/rules.h"

namespace railyard::harness {

namespace {

bool somebody_else_suffers(const View& view, int rank) {
  for (const RankEvidence& other : view.evidence().ranks) {
    if (other.rank != rank && ((other.alive && !other.waiting.empty()) || other.error)) return true;
  }
  return false;
}

std::string how_it_ended(const RankEvidence& rank) {
  if (rank.signal)
    return fmt::format("was ended by signal {} ({})", *rank.signal, strsignal(*rank.signal));
  return fmt::format("exited with code {}", rank.exit.value_or(0));
}

}  // namespace

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

std::optional<Diagnosis> context_limit(const View& view) {
  Diagnosis diagnosis{"context-limit", "", {}, {}};
  for (const fabric::ProcessView& process : view.snapshot().processes) {
    if (!process.alive || process.activity != fabric::Activity::blocked ||
        process.verb != "ibv_open_device" || process.blocked_device < 0) {
      continue;
    }
    const fabric::DeviceView& device =
        view.snapshot().devices[static_cast<size_t>(process.blocked_device)];
    std::string port = view.port_name(device.port);
    std::string holders;
    for (const fabric::ContextView& context : view.snapshot().contexts) {
      if (context.device != process.blocked_device) continue;
      int holder = view.rank_of_process(context.process);
      const auto& who = view.snapshot().processes[static_cast<size_t>(context.process)];
      holders += fmt::format("{}rank {} (pid {}){}", holders.empty() ? "" : ", ", holder, who.pid,
                             context.process == process.index ? ", the waiter itself" : "");
      add_name(diagnosis, fmt::format("rank {}", holder));
    }
    if (holders.empty()) holders = "nobody that the fabric knows";
    std::string line = fmt::format(
        "rank {} (pid {}) waits in ibv_open_device for {}, which allows {} context{} and is held "
        "by {}",
        process.node, process.pid, port, device.context_limit, device.context_limit == 1 ? "" : "s",
        holders);
    if (diagnosis.headline.empty()) {
      diagnosis.headline = line;
    } else {
      diagnosis.details.push_back(line);
    }
    add_name(diagnosis, fmt::format("rank {}", process.node));
    add_name(diagnosis, port);
    add_name(diagnosis, device.name);
  }
  if (diagnosis.headline.empty()) return std::nullopt;
  return diagnosis;
}

}  // namespace railyard::harness
