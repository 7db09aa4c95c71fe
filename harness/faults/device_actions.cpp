// Faults of devices: limits lowered or used up, GID tables changed, devices that break.
#include <fmt/format.h>

#include "faults/action.h"
#include "railyard/fabric_names.h"

namespace railyard::harness {

namespace {

constexpr int kGidRows = 4;

class DeviceAction : public Action {
 public:
  using Action::Action;

 protected:
  int port() const { return port_named(yard_.fabric, yard_.fabric.snapshot(), plan_.port); }
  static const fabric::DeviceView& device_of(const fabric::Snapshot& snapshot, int port) {
    return snapshot.devices[static_cast<size_t>(snapshot.ports[static_cast<size_t>(port)].device)];
  }
};

class LimitAction : public DeviceAction {
 public:
  using DeviceAction::DeviceAction;

  void strike() override {
    fire();
    fabric::Snapshot now = yard_.fabric.snapshot();
    port_ = port_named(yard_.fabric, now, plan_.port);
    device_ = now.ports[static_cast<size_t>(port_)].device;
    refused_before_ = refused(now);
    int most = plan_.most.value_or(given(now));
    yard_.fabric.limit(device_, plan_.resource, most);
    record(fmt::format("{} has {} {}s given out and gives no more than {}", plan_.port, given(now),
                       fabric::resource_name(plan_.resource), most),
           false);
  }

  void tick(const fabric::Snapshot& now) override {
    if (fired_ && plan_.resource == fabric::Resource::contexts &&
        device_of(now, port_).waiters > 0) {
      waited_ = true;
    }
  }

  void conclude(const fabric::Snapshot& after) override {
    if (!fired_) return;
    uint64_t refused_since = refused(after) - refused_before_;
    record(
        fmt::format("refused {} since{}", refused_since, waited_ ? ", others waited for it" : ""),
        refused_since > 0 || waited_);
  }

 private:
  uint64_t refused(const fabric::Snapshot& snapshot) const {
    return device_of(snapshot, port_).refusals[static_cast<size_t>(plan_.resource)];
  }

  int given(const fabric::Snapshot& snapshot) const {
    int count = 0;
    for (const fabric::ContextView& context : snapshot.contexts) {
      if (context.device != device_) continue;
      switch (plan_.resource) {
        case fabric::Resource::contexts:
          count += 1;
          break;
        case fabric::Resource::protection_domains:
          count += context.protection_domains;
          break;
        case fabric::Resource::completion_queues:
          count += context.completion_queues;
          break;
        case fabric::Resource::queue_pairs:
          count += context.queue_pairs;
          break;
        case fabric::Resource::memory_regions:
          count += context.memory_regions;
          break;
      }
    }
    return count;
  }

  int port_ = -1, device_ = -1;
  uint64_t refused_before_ = 0;
  bool waited_ = false;
};

class BreakAction : public DeviceAction {
 public:
  using DeviceAction::DeviceAction;
  void strike() override {
    fire();
    fabric::Snapshot now = yard_.fabric.snapshot();
    int here = port();
    bool failed = device_of(now, here).failed;
    yard_.fabric.fail_device(now.ports[static_cast<size_t>(here)].device);
    record(plan_.port + (failed ? " was broken already" : " is broken"), !failed);
  }
};

class GidAction : public DeviceAction {
 public:
  using DeviceAction::DeviceAction;
  void strike() override {
    fire();
    for (int row = 0; row < kGidRows; ++row) {
      if (plan_.gid_index >= 0 && row != plan_.gid_index) continue;
      fabric::CableChange change = yard_.fabric.set_gid(port(), row, plan_.gid);
      if (change.changed || plan_.gid_index >= 0) record(change.evidence, change.changed);
    }
    if (evidence_.empty()) record("the table was empty already", false);
  }
};

}  // namespace

ActionPointer make_device_action(const FaultPlan& plan, FaultYard& yard) {
  switch (plan.kind) {
    case FaultKind::device_limit:
      return std::make_unique<LimitAction>(plan, yard);
    case FaultKind::device_fail:
      return std::make_unique<BreakAction>(plan, yard);
    case FaultKind::gid_set:
    case FaultKind::gid_clear:
      return std::make_unique<GidAction>(plan, yard);
    default:
      return nullptr;
  }
}

}  // namespace railyard::harness
