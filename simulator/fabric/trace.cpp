#include "fabric/trace.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "fabric/names.h"

namespace railyard::fabric {

namespace {

static_assert(static_cast<int>(TraceKind::state) == static_cast<int>(layout::TraceKind::state));
static_assert(static_cast<int>(TraceKind::arrived) == static_cast<int>(layout::TraceKind::arrived));

const char* detail_of(TraceKind kind, uint32_t detail) {
  switch (kind) {
    case TraceKind::post_send:
    case TraceKind::arrived:
      return opcode_name(detail);
    case TraceKind::send_done:
    case TraceKind::receive_done:
      return completion_status_name(detail);
    case TraceKind::lost:
      return detail ? "dropped: no receive" : "lost: no way to the peer";
    case TraceKind::state:
      return queue_pair_state_name(detail);
    default:
      return "";
  }
}

// The event at `index` of a process's trace, unless it has been overwritten or is being written.
std::optional<TraceEvent> read_event(const Segment& segment, uint32_t process,
                                     const layout::TraceRecord* records, uint64_t index) {
  const layout::TraceRecord& record = records[index % layout::kTraceEvents];
  if (record.lap.load(std::memory_order_acquire) != layout::trace_lap(index)) return std::nullopt;
  TraceEvent event;
  event.at_ns = segment.to_ns(record.ticks);
  event.process = static_cast<int>(process);
  event.kind = static_cast<TraceKind>(record.kind);
  event.queue_pair = record.queue_pair;
  event.message = record.message;
  event.request = record.request;
  event.bytes = record.bytes;
  event.detail = detail_of(event.kind, record.detail);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (record.lap.load(std::memory_order_relaxed) != layout::trace_lap(index)) return std::nullopt;
  if (event.kind == TraceKind::state) {
    event.port = static_cast<int>(std::exchange(event.request, 0));
    event.peer_port = static_cast<int>(event.message >> 32) - 1;
    event.peer_number = static_cast<uint32_t>(std::exchange(event.message, 0));
  }
  return event;
}

void sort_by_time(std::vector<TraceEvent>& events) {
  std::stable_sort(events.begin(), events.end(),
                   [](const TraceEvent& a, const TraceEvent& b) { return a.at_ns < b.at_ns; });
}

}  // namespace

std::vector<TraceEvent> read_trace_since(const Segment& segment, TraceCursor& cursor) {
  std::vector<TraceEvent> events;
  cursor.next.resize(segment.header().processes_used.load());
  for (uint32_t i = 0; i < cursor.next.size(); ++i) {
    const layout::Process& process = segment.process(i);
    uint64_t count = process.trace_count.load(std::memory_order_acquire);
    uint64_t& next = cursor.next[i];
    if (next > count) next = 0;  // the record is another process's now
    if (process.trace == 0 || count == next) continue;
    const auto* records =
        reinterpret_cast<const layout::TraceRecord*>(segment.bytes_at(process.trace));
    uint64_t kept = std::min<uint64_t>(count - next, layout::kTraceEvents);
    cursor.missed += count - next - kept;
    for (next = count - kept; next < count; ++next) {
      std::optional<TraceEvent> event = read_event(segment, i, records, next);
      event ? events.push_back(std::move(*event)) : void(++cursor.missed);
    }
  }
  sort_by_time(events);
  return events;
}

std::vector<TraceEvent> read_trace(const Segment& segment, size_t most) {
  TraceCursor cursor;
  cursor.next.resize(segment.header().processes_used.load());
  for (uint32_t i = 0; i < cursor.next.size(); ++i) {
    uint64_t count = segment.process(i).trace_count.load(std::memory_order_acquire);
    cursor.next[i] = count - std::min<uint64_t>(count, most);
  }
  return read_trace_since(segment, cursor);
}

std::string TraceEvent::text() const {
  switch (kind) {
    case TraceKind::post_send:
      return std::string("post_send ") + detail;
    case TraceKind::post_receive:
      return "post_recv";
    case TraceKind::receive_done:
      return std::string("recv done ") + detail;
    case TraceKind::send_done:
      return std::string("send done ") + detail;
    case TraceKind::lost:
      return detail;
    case TraceKind::state:
      return std::string("state ") + detail;
    case TraceKind::open_device:
      return "open_device";
    case TraceKind::close_device:
      return "close_device";
    case TraceKind::arrived:
      return std::string("done here ") + detail;
  }
  return "unknown";
}

}  // namespace railyard::fabric
