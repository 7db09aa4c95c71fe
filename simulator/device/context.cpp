#include "device/context.h"

#include <algorithm>
#include <cerrno>

#include "device/completion_queue.h"
#include "device/extended_domain.h"
#include "device/message_path.h"
#include "device/queue_pair.h"
#include "device/shared_receive_queue.h"
#include "fabric/topology.h"
#include "platform/doorbell.h"

namespace railyard::sim {

namespace {

constexpr int64_t kLookAgainNs = 20'000'000;

uint32_t open_contexts(const Segment& segment, uint32_t device) {
  uint32_t open = 0;
  for (uint32_t i = 0; i < segment.header().contexts_used.load(); ++i) {
    const layout::Context& record = segment.context(i);
    open += record.owner.load(std::memory_order_acquire) != 0 &&
            record.device.load(std::memory_order_acquire) == device + 1;
  }
  return open;
}

layout::Shared<int32_t>& count_of(layout::Context& record, Resource resource) {
  switch (resource) {
    case Resource::protection_domains:
      return record.protection_domains;
    case Resource::completion_queues:
      return record.completion_queues;
    case Resource::queue_pairs:
      return record.queue_pairs;
    default:
      return record.memory_regions;
  }
}

// Takes a context's record if the device has one left. The limit is checked and the record taken
// under the device's lock, so that two who ask at once cannot both get the last.
std::optional<uint32_t> claim(Attachment& attachment, uint32_t device) {
  const Segment& segment = attachment.segment();
  fabric::RobustLock lock(segment, segment.device(device).lock, attachment.process());
  fabric::Limit limit = limit_of(segment, device, Resource::contexts);
  if (limit.most != 0 && static_cast<int64_t>(open_contexts(segment, device)) >= limit.most) {
    errno = limit.error_number;
    return std::nullopt;
  }
  std::optional<uint32_t> index = segment.claim_context(attachment.process());
  if (!index) return std::nullopt;
  layout::Context& record = segment.context(*index);
  record.opened_ticks = segment.now_ticks();
  record.regions.store(0);
  for (Resource each : {Resource::protection_domains, Resource::completion_queues,
                        Resource::queue_pairs, Resource::memory_regions}) {
    count_of(record, each).store(0);
  }
  record.device.store(device + 1, std::memory_order_release);
  return index;
}

void ring_all(const Segment& segment) {
  for (uint32_t i = 0; i < segment.header().processes_used.load(); ++i) {
    if (segment.live(i)) platform::ring_bell(segment.process(i).doorbell);
  }
}

}  // namespace

Context* Context::open(Attachment& attachment, uint32_t device, ibv_device* face) {
  if (int error = attachment.join()) return errno = error, nullptr;
  attachment.note_verb(Verb::open_device);
  const Segment& segment = attachment.segment();
  std::optional<uint32_t> index = claim(attachment, device);
  if (!index) segment.device(device).refusals[static_cast<size_t>(Resource::contexts)].fetch_add(1);
  if (!index && segment.profile().at_context_limit == fabric::AtLimit::block &&
      errno == segment.profile().contexts.error_number) {
    Blocked blocked(attachment, layout::WaitReason::context_limit, static_cast<int32_t>(device));
    while (!(index = claim(attachment, device)) &&
           errno == segment.profile().contexts.error_number) {
      segment.reap_dead();
      platform::wait_for_bell(attachment.record().doorbell, attachment.record().doorbell.load(),
                              kLookAgainNs);
    }
  }
  if (!index) return nullptr;
  auto* context = new Context(attachment, device, *index, face);
  if (int error = context->events_.open()) {
    delete context;
    return errno = error, nullptr;
  }
  context->context.async_fd = context->events_.descriptor();
  context->context.cmd_fd = context->context.async_fd;
  attachment.add(context);
  attachment.trace({layout::TraceKind::open_device});
  return context;
}

Context::Context(Attachment& attachment, uint32_t device, uint32_t record_index, ibv_device* face)
    : verbs_context{}, attachment_(attachment), device_(device), record_index_(record_index) {
  sz = sizeof(verbs_context);
  context.device = face;
  context.abi_compat = __VERBS_ABI_IS_EXTENDED;
  context.num_comp_vectors = 1;
  pthread_mutex_init(&context.mutex, nullptr);
  topology_epoch_ = segment().header().topology_epoch.load();
  port_active_ = port_active(segment(), static_cast<int32_t>(port_index()));
}

Context::~Context() {
  attachment_.remove(this);
  visited.clear();
  regions.for_each([&](const Region& region) {
    if (!region.window) attachment_.deregistered(region.base, region.bytes);
  });
  regions.close();
  attachment_.trace({layout::TraceKind::close_device});
  segment().give_back_context(record_index_);
  if (profile().at_context_limit == fabric::AtLimit::block) ring_all(segment());
  pthread_mutex_destroy(&context.mutex);
}

int Context::take(Resource resource) {
  fabric::Limit limit = limit_of(segment(), device_, resource);
  fabric::RobustLock device_lock(segment(), segment().device(device_).lock, attachment_.process());
  if (limit.most != 0) {
    int64_t used = 0;
    for (uint32_t i = 0; i < segment().header().contexts_used.load(); ++i) {
      layout::Context& other = segment().context(i);
      if (other.owner.load(std::memory_order_acquire) != 0 &&
          other.device.load(std::memory_order_acquire) == device_ + 1) {
        used += count_of(other, resource).load(std::memory_order_relaxed);
      }
    }
    if (used >= limit.most) {
      segment().device(device_).refusals[static_cast<size_t>(resource)].fetch_add(1);
      return limit.error_number;
    }
  }
  count_of(record(), resource).fetch_add(1, std::memory_order_relaxed);
  return 0;
}

void Context::give_back(Resource resource) {
  count_of(record(), resource).fetch_sub(1, std::memory_order_relaxed);
}

void Context::find_receivers() {
  uint32_t epoch = segment().header().sharing_epoch.load(std::memory_order_acquire);
  if (epoch == sharing_epoch_) return;
  sharing_epoch_ = epoch;
  visited.clear();
  for (uint32_t i = 0; extended_queues != 0 && i < segment().header().queue_pairs_used.load();
       ++i) {
    const layout::QueuePair& record = segment().queue_pair(i);
    uint64_t domain = record.domain.load(std::memory_order_acquire);
    if (domain == 0 || record.owner.load(std::memory_order_acquire) == 0) continue;
    auto has_share = [&](const QueuePair* pair) { return pair->number() == i; };
    auto concerns = [&](const SharedReceiveQueue* queue) {
      return queue->domain && queue->domain->number == domain;
    };
    if (std::ranges::any_of(queue_pairs, has_share)) continue;
    if (!std::ranges::any_of(shared_queues, concerns)) continue;
    ibv_qp_init_attr_ex shape{};
    shape.qp_type = IBV_QPT_XRC_RECV;
    visited.push_back(std::make_unique<QueuePair>(*this, i, shape, ibv_qp_cap{}));
    visited.back()->visit(domain);
  }
}

bool Context::progress_all() {
  find_receivers();
  bool worked = false;
  for (const auto& pair : visited) worked |= pair->progress_receives();
  for (QueuePair* pair : queue_pairs) {
    worked |= pair->progress_receives();
    worked |= pair->progress_sends(true);
  }
  return worked;
}

bool Context::domain_in_use(const ibv_pd* domain) const {
  for (const QueuePair* pair : queue_pairs) {
    if (pair->qp_base.pd == domain) return true;
  }
  return regions.any_of(domain);
}

Context::Duties Context::attend() {
  std::lock_guard guard(lock);
  watch_port();
  Duties duties;
  duties.worked = progress_all();
  if (overrun_) fail_overrun();
  for (const auto& pair : visited) duties.timer |= pair->timer_runs();
  for (QueuePair* pair : queue_pairs) {
    duties.timer |= pair->timer_runs();
    if (!pair->sends_outstanding()) continue;
    duties.watch = true;
    pair->look_for_death();
  }
  return duties;
}

void Context::fail_later() {
  overrun_ = true;
  platform::ring_bell(attachment_.record().doorbell);
}

// A queue pair whose completions nobody will ever see is in error (InfiniBand specification 11.6.3:
// local work queue catastrophic error).
void Context::fail_overrun() {
  overrun_ = false;
  auto lost = [](const CompletionQueue* queue) { return queue && queue->overrun(); };
  for (QueuePair* pair : queue_pairs) {
    if (!lost(pair->send_queue()) && !lost(pair->receive_queue())) continue;
    if (pair->qp_base.state == IBV_QPS_ERR || pair->qp_base.state == IBV_QPS_RESET) continue;
    pair->enter_error(false);
    raise(IBV_EVENT_QP_FATAL, &pair->qp_base);
  }
}

void Context::watch_port() {
  uint32_t epoch = segment().header().topology_epoch.load(std::memory_order_acquire);
  if (epoch == topology_epoch_) return;
  topology_epoch_ = epoch;
  if (segment().device(device_).failed_ticks.load() != 0 && !failed_) {
    failed_ = true;
    raise(IBV_EVENT_DEVICE_FATAL, nullptr);
    for (QueuePair* pair : queue_pairs) pair->enter_error(false);
  }
  bool active = port_active(segment(), static_cast<int32_t>(port_index()));
  if (active == port_active_) return;
  port_active_ = active;
  raise(active ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR, nullptr);
}

void Context::raise(ibv_event_type type, void* element) {
  ibv_async_event event{};
  event.event_type = type;
  switch (type) {
    case IBV_EVENT_CQ_ERR:
      event.element.cq = static_cast<ibv_cq*>(element);
      break;
    case IBV_EVENT_SRQ_LIMIT_REACHED:
    case IBV_EVENT_SRQ_ERR:
      event.element.srq = static_cast<ibv_srq*>(element);
      break;
    case IBV_EVENT_PORT_ACTIVE:
    case IBV_EVENT_PORT_ERR:
      event.element.port_num = 1;
      break;
    default:
      event.element.qp = static_cast<ibv_qp*>(element);
  }
  events_.put(&event, sizeof event);
}

int Context::get_async_event(ibv_async_event* event) const {
  return events_.get(event, sizeof *event);
}

}  // namespace railyard::sim
