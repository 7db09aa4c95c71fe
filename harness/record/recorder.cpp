#include "record/recorder.h"

#include <algorithm>
#include <utility>

namespace railyard::harness {

namespace {

constexpr int64_t kSlice = 2'000'000;     // of traffic, at first
constexpr size_t kMostTraffic = 100'000;  // entries; then slices get twice as long
constexpr size_t kMostSpans = 4'000;      // of a rank; then the shortest neighbours join

std::string switch_name(const fabric::ClusterSpec& cluster, int index) {
  return index >= 0 ? cluster.switches.at(static_cast<size_t>(index)) : "";
}

// Joins every second pair of neighbours; the longer one gives its name to both.
void halve(std::vector<RankSpan>& spans) {
  std::vector<RankSpan> fewer;
  for (size_t i = 0; i + 1 < spans.size(); i += 2) {
    const RankSpan &a = spans[i], &b = spans[i + 1];
    RankSpan joined = a.to_ns - a.from_ns >= b.to_ns - b.from_ns ? a : b;
    joined.from_ns = a.from_ns;
    joined.to_ns = b.to_ns;
    fewer.push_back(joined);
  }
  if (spans.size() % 2 != 0) fewer.push_back(spans.back());
  spans = std::move(fewer);
}

}  // namespace

const char* activity_name(RankActivity activity) {
  switch (activity) {
    case RankActivity::starting:
      return "starting";
    case RankActivity::working:
      return "working";
    case RankActivity::computing:
      return "computing";
    case RankActivity::waiting:
      return "waiting";
    case RankActivity::blocked:
      return "blocked";
    case RankActivity::asleep:
      return "asleep";
    case RankActivity::stopped:
      return "stopped";
    case RankActivity::leaving:
      return "leaving";
  }
  return "";
}

const RecordedPair* RunRecord::pair(uint32_t number) const {
  auto found =
      std::lower_bound(pairs.begin(), pairs.end(), number,
                       [](const RecordedPair& each, uint32_t n) { return each.number < n; });
  return found != pairs.end() && found->number == number ? &*found : nullptr;
}

Recorder::Recorder(const fabric::Fabric& fabric, const fabric::ClusterSpec& cluster,
                   std::vector<std::string> operations, size_t most)
    : fabric_(fabric), cluster_(cluster), messages_(most) {
  for (const fabric::NodeSpec& node : cluster.nodes) record_.nodes.push_back(node.name);
  record_.operations = std::move(operations);
  record_.slice_ns = kSlice;
}

void Recorder::read_trace() {
  for (const fabric::TraceEvent& event : fabric_.trace_since(cursor_)) {
    messages_.add(event);
    if (event.kind != fabric::TraceKind::state) continue;
    auto process = static_cast<size_t>(event.process);
    RecordedPair& pair = pairs_[event.queue_pair];
    pair.number = event.queue_pair;
    pair.port = event.port;
    if (process < rank_of_process_.size()) pair.rank = rank_of_process_[process];
    if (event.peer_port < 0) continue;
    pair.peer_port = event.peer_port;
    pair.peer_number = event.peer_number;
  }
}

void Recorder::note_pairs(const fabric::Snapshot& snapshot) {
  rank_of_process_.clear();
  for (const fabric::ProcessView& process : snapshot.processes) {
    rank_of_process_.push_back(process.node);
  }
  for (const fabric::QueuePairView& view : snapshot.queue_pairs) {
    RecordedPair& pair = pairs_[view.number];
    pair.number = view.number;
    pair.port = view.port;
    pair.type = view.type;
    pair.rank = snapshot.devices[static_cast<size_t>(view.device)].node;
    if (view.peer_port < 0) continue;
    pair.first_psn = view.send_psn;
    pair.peer_port = view.peer_port;
    pair.peer_number = view.peer_number;
  }
}

void Recorder::note_traffic(const fabric::Snapshot& snapshot) {
  int64_t slice = snapshot.now_ns / record_.slice_ns;
  ports_.resize(snapshot.ports.size());
  for (size_t i = 0; i < snapshot.ports.size(); ++i) {
    const fabric::PortView& now = snapshot.ports[i];
    fabric::PortView& before = ports_[i];
    // A queue pair that goes is for a moment counted neither here nor there.
    if (now.messages_out > before.messages_out) {
      record_.traffic.push_back({slice, static_cast<int>(i), now.messages_out - before.messages_out,
                                 now.bytes_out - std::min(now.bytes_out, before.bytes_out)});
      before = now;
    }
  }
  if (record_.traffic.size() > kMostTraffic) coarsen();
}

void Recorder::coarsen() {
  record_.slice_ns *= 2;
  std::map<std::pair<int64_t, int>, Traffic> joined;
  for (const Traffic& each : record_.traffic) {
    Traffic& sum = joined[{each.slice / 2, each.port}];
    sum.slice = each.slice / 2;
    sum.port = each.port;
    sum.messages_out += each.messages_out;
    sum.bytes_out += each.bytes_out;
  }
  record_.traffic.clear();
  for (auto& [key, each] : joined) record_.traffic.push_back(each);
}

void Recorder::note_ranks(int64_t now_ns, const std::vector<RankMoment>& ranks) {
  record_.ranks.resize(ranks.size());
  for (size_t i = 0; i < ranks.size(); ++i) {
    const RankMoment& moment = ranks[i];
    std::vector<RankSpan>& spans = record_.ranks[i];
    if (!spans.empty()) spans.back().to_ns = std::max(spans.back().to_ns, last_look_ns_);
    if (!moment.alive) continue;
    if (spans.empty() || spans.back().activity != moment.activity ||
        spans.back().operation != moment.operation) {
      int64_t from = spans.empty() ? now_ns : last_look_ns_;
      if (!spans.empty()) spans.back().to_ns = from;
      if (spans.size() >= kMostSpans) halve(spans);
      spans.push_back({from, now_ns, moment.activity, moment.operation, moment.iteration, 0});
    }
    spans.back().to_ns = now_ns;
    spans.back().last_iteration = moment.iteration;
  }
  last_look_ns_ = now_ns;
}

void Recorder::look(const fabric::Snapshot& snapshot, const std::vector<RankMoment>& ranks) {
  note_pairs(snapshot);
  read_trace();
  note_traffic(snapshot);
  note_ranks(snapshot.now_ns, ranks);
  cables_ = snapshot.cables;
  if (!record_.ports.empty()) return;
  for (size_t port = 0; port < snapshot.ports.size(); ++port) {
    int node = snapshot.devices[static_cast<size_t>(snapshot.ports[port].device)].node;
    record_.ports.push_back({fabric_.port_name(static_cast<int>(port)), node});
  }
}

RunRecord Recorder::finish(std::vector<Wait> waits) {
  for (const fabric::CableView& view : cables_) {
    RecordedCable cable;
    cable.name = view.name;
    cable.plugged = view.plugged;
    cable.changed_ns = view.changed_at_ns;
    for (int end : {0, 1}) {
      int built = view.original_ports[end], now = view.ports[end];
      std::string beyond = switch_name(cluster_, view.switches[end]);
      cable.ends[end] = built >= 0 ? fabric_.port_name(built) : beyond;
      cable.now[end] = now >= 0 ? fabric_.port_name(now) : beyond;
    }
    record_.cables.push_back(std::move(cable));
  }
  for (auto& [number, pair] : pairs_) record_.pairs.push_back(pair);
  for (const fabric::PortView& port : ports_) {
    record_.messages_sent += port.messages_out;
    record_.bytes_sent += port.bytes_out;
  }
  record_.messages_seen = messages_.seen();
  record_.messages = messages_.take();
  record_.events_missed = cursor_.missed;
  record_.waits = std::move(waits);
  return std::move(record_);
}

}  // namespace railyard::harness
