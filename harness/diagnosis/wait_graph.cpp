#include "diagnosis/wait_graph.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "diagnosis/view.h"

namespace railyard::harness {

namespace {

struct Debt {
  uint64_t unfilled = 0, unsettled = 0;
};

std::string describe(const Debt& debt) {
  std::string text;
  if (debt.unfilled > 0) text = fmt::format("{} receives not filled", debt.unfilled);
  if (debt.unsettled > 0) {
    text += fmt::format("{}{} sends not settled", text.empty() ? "" : ", ", debt.unsettled);
  }
  return text;
}

void add_queue_pairs(const View& view, int rank, std::vector<Wait>& waits) {
  std::map<std::pair<int, int>, Debt> debts;  // by peer and port
  for (const fabric::QueuePairView& pair : view.snapshot().queue_pairs) {
    if (view.rank_of(pair) != rank || pair.peer_port < 0) continue;
    if (view.unfilled(pair) == 0 && view.unsettled(pair) == 0) continue;
    Debt& debt = debts[{view.peer_rank_of(pair), view.port_of(pair)}];
    debt.unfilled += view.unfilled(pair);
    debt.unsettled += view.unsettled(pair);
  }
  for (const auto& [place, debt] : debts) {
    waits.push_back({rank, place.first, place.second, describe(debt)});
  }
}

// A rank blocked at a device's limit waits for those who have its contexts.
void add_blocked(const View& view, int rank, std::vector<Wait>& waits) {
  for (const fabric::ProcessView& process : view.snapshot().processes) {
    if (process.node != rank || process.activity != fabric::Activity::blocked) continue;
    bool found = false;
    for (const fabric::ContextView& context : view.snapshot().contexts) {
      if (process.blocked_device < 0 || context.device != process.blocked_device) continue;
      int port = view.snapshot().devices[static_cast<size_t>(context.device)].port;
      waits.push_back({rank, view.rank_of_process(context.process), port, process.waits_for});
      found = true;
    }
    if (!found) waits.push_back({rank, -1, -1, process.verb + ": " + process.waits_for});
  }
}

}  // namespace

std::vector<Wait> wait_graph(const Evidence& evidence) {
  View view(evidence);
  std::vector<Wait> waits;
  for (const RankEvidence& rank : evidence.ranks) {
    if (!rank.alive || rank.waiting.empty()) continue;
    size_t before = waits.size();
    add_blocked(view, rank.rank, waits);
    add_queue_pairs(view, rank.rank, waits);
    if (waits.size() == before) waits.push_back({rank.rank, -1, -1, rank.waiting});
  }
  return waits;
}

}  // namespace railyard::harness
