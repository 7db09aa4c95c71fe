#include "passthrough/device.h"

#include <sched.h>

#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "passthrough/real.h"
#include "passthrough/record.h"

namespace railyard::passthrough {

namespace {

constexpr int kMostContexts = 64;
OpenContext contexts[kMostContexts];
std::mutex mutex;  // guards what is opened and closed

void pause_thread(int64_t ns) {
  timespec time{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  while (nanosleep(&time, &time) != 0) {
  }
}

constexpr int64_t kLookNs = 200'000;

using QueryPort = int (*)(ibv_context*, uint8_t, _compat_ibv_port_attr*);

// The state of port 1, or nothing.
std::optional<ibv_port_state> state_of_port(ibv_context* context) {
  static auto ask = real<QueryPort>("ibv_query_port");
  // The old structure is shorter than the new one.
  ibv_port_attr attributes{};
  if (ask(context, 1, reinterpret_cast<_compat_ibv_port_attr*>(&attributes)) != 0) return {};
  return attributes.state;
}

// A place on the page, as long as there are any; the lock is held.
DeviceSeen* take_place(const std::string& name) {
  static uint32_t taken = 0;
  if (taken == kMostDevices) return new DeviceSeen;
  DeviceSeen& place = Rules::instance().page().devices[taken++];
  name.copy(place.name, sizeof(place.name) - 1);
  place.named.store(1, std::memory_order_release);
  return &place;
}

void wait_for_release(const RuleState& state, Point point) {
  Inside inside(point);
  while (state.released.load(std::memory_order_acquire) == 0) pause_thread(kLookNs);
}

}  // namespace

Device& device_named(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Device>>& devices =
      *new std::map<std::string, std::unique_ptr<Device>>;
  std::lock_guard lock(mutex);
  std::unique_ptr<Device>& device = devices[name];
  if (!device) {
    device = std::make_unique<Device>();
    device->name = name;
    device->seen = take_place(name);
  }
  return *device;
}

OpenContext& opened(const ibv_context* context) {
  for (OpenContext& each : contexts) {
    if (each.context.load(std::memory_order_acquire) == context) return each;
  }
  static OpenContext& unknown = *[] {
    auto* none = new OpenContext;
    none->device = new Device;
    none->device->seen = new DeviceSeen;
    return none;
  }();
  return unknown;
}

void take(ibv_context* context, Device& device) {
  std::lock_guard lock(mutex);
  for (OpenContext& each : contexts) {
    if (each.context.load() != nullptr) continue;
    each.device = &device;
    each.post_send = context->ops.post_send;
    each.post_recv = context->ops.post_recv;
    each.poll_cq = context->ops.poll_cq;
    context->ops.post_send = post_send;
    context->ops.post_recv = post_receive;
    context->ops.poll_cq = poll;
    if (verbs_context* whole = verbs_get_ctx(context)) {
      each.query_port = whole->query_port;
      each.create_qp_ex = whole->create_qp_ex;
      each.create_cq_ex = whole->create_cq_ex;
      if (whole->query_port) whole->query_port = query_port_op;
      if (whole->create_qp_ex) whole->create_qp_ex = create_qp_op;
      if (whole->create_cq_ex) whole->create_cq_ex = create_cq_op;
    }
    each.context.store(context, std::memory_order_release);
    return;
  }
}

void look_at_ports() {
  RulePage& page = Rules::instance().page();
  uint32_t asked = page.ports_asked.load();
  if (page.ports_answered.exchange(asked) == asked) return;
  std::unique_lock lock(mutex, std::try_to_lock);
  if (!lock) return;
  for (OpenContext& each : contexts) {
    ibv_context* context = each.context.load();
    auto state = context ? state_of_port(context) : std::nullopt;
    if (state) each.device->seen->port_state.store(static_cast<uint32_t>(*state) + 1);
  }
}

bool port_is_down(const Device& device) {
  std::lock_guard lock(mutex);
  for (OpenContext& each : contexts) {
    ibv_context* context = each.context.load();
    if (!context || each.device != &device) continue;
    return state_of_port(context) != IBV_PORT_ACTIVE;
  }
  return false;
}

void Device::note_refused(Resource resource) {
  auto number = static_cast<size_t>(resource);
  if (number < kCountedResources) seen->refused[number].fetch_add(1);
}

void give_back(ibv_context* context) {
  std::lock_guard lock(mutex);
  OpenContext& ours = opened(context);
  if (ours.context.load() == context) ours.context.store(nullptr, std::memory_order_release);
}

Inside::Inside(Point point)
    : before_(Rules::instance().page().inside.exchange(static_cast<uint32_t>(point))) {
  Rules::instance().page().calls.fetch_add(1, std::memory_order_relaxed);
}

Inside::~Inside() { Rules::instance().page().inside.store(before_); }

int enter(Point point, const char* device) {
  int error = 0;
  Rules& rules = Rules::instance();
  for (const Rule* rule : rules.at(point)) {
    if (rule->deed == Deed::drop || rule->deed == Deed::status || rule->deed == Deed::gid) continue;
    // A block that was released holds nobody any more.
    if (rule->deed == Deed::block && rules.state(*rule).released.load() != 0) continue;
    if (!rules.strikes(*rule, device)) continue;
    switch (rule->deed) {
      case Deed::fail:
        error = rule->number;
        break;
      case Deed::delay:
        pause_thread(rule->delay_ns);
        break;
      case Deed::block:
        wait_for_release(rules.state(*rule), point);
        break;
      default:
        break;
    }
  }
  return error;
}

const Rule* told_row(const char* device, int index, bool asked) {
  Rules& rules = Rules::instance();
  const Rule* told = nullptr;
  for (const Rule* rule : rules.at(Point::query_gid)) {
    if (rule->deed != Deed::gid || (rule->row >= 0 && rule->row != index)) continue;
    bool applies = rule->device.empty() || rule->device == device;
    if (asked ? rules.strikes(*rule, device) : applies && rules.counting(*rule)) told = rule;
  }
  return told;
}

int refusal(Device& device, Resource resource, int64_t asked) {
  Rules& rules = Rules::instance();
  bool of_one_pair = resource == Resource::send_requests || resource == Resource::receive_requests;
  int64_t in_use = of_one_pair ? 0 : device.used(resource).load();
  for (const Rule* rule : rules.limits()) {
    if (rule->resource != resource || !rules.counting(*rule)) continue;
    if (!rule->device.empty() && rule->device != device.name) continue;
    int64_t most = rule->most;
    if (rule->used_up) {
      int64_t unset = -1;
      device.found[rule->index].compare_exchange_strong(unset, in_use);
      most = device.found[rule->index].load();
    }
    rules.state(*rule).seen.fetch_add(1);
    if (in_use + asked <= most) continue;
    rules.note_fired(*rule, device.name.c_str());
    device.note_refused(resource);
    return rule->number;
  }
  return 0;
}

}  // namespace railyard::passthrough
