// Faults of the side channel, made by the relay through which ranks reach rank 0.
#include <fmt/format.h>

#include "faults/action.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

class SideChannelAction : public Action {
 public:
  using Action::Action;

  void strike() override {
    fire();
    before_ = channel().counts(plan_.rank);
    switch (plan_.kind) {
      case FaultKind::side_channel_refuse:
        channel().refuse(plan_.rank, true);
        break;
      case FaultKind::side_channel_cut:
        channel().cut(plan_.rank);
        break;
      case FaultKind::side_channel_hang:
        channel().hang(plan_.rank, true);
        break;
      default:
        channel().slow(plan_.rank, plan_.duration);
    }
    bool ends =
        plan_.kind == FaultKind::side_channel_refuse || plan_.kind == FaultKind::side_channel_hang;
    if (ends && plan_.duration.count() > 0) end_ns_ = at_ns_ + plan_.duration.count();
  }

  void tick(const fabric::Snapshot&) override {
    int64_t now = yard_.fabric.now_ns();
    if (end_ns_ == 0 || now < end_ns_) return;
    end_ns_ = 0;
    if (plan_.kind == FaultKind::side_channel_refuse) {
      channel().refuse(plan_.rank, false);
    } else {
      channel().hang(plan_.rank, false);
    }
    tail_ = ", until " + format_ns(now - at_ns_) + " later";
  }

  bool pending() const override {
    return end_ns_ != 0 ||
           (fired_ && plan_.kind == FaultKind::side_channel_slow && channel().delaying());
  }

  void conclude(const fabric::Snapshot&) override {
    if (!fired_) return;
    SideChannel::Counts now = channel().counts(plan_.rank);
    std::string who = plan_.rank < 0 ? "every rank" : fmt::format("rank {}", plan_.rank);
    switch (plan_.kind) {
      case FaultKind::side_channel_refuse:
        // Who is connected already does not notice.
        record(fmt::format("connections of {} refused, {} came before and {} after", who,
                           before_.accepted, now.accepted - before_.accepted),
               before_.accepted == 0);
        break;
      case FaultKind::side_channel_cut:
        record(fmt::format("{} connections of {} cut", now.cut - before_.cut, who),
               now.cut > before_.cut);
        break;
      case FaultKind::side_channel_hang:
        record(fmt::format("{} B and {} ends of connections of {} did not pass", now.withheld_bytes,
                           now.withheld_ends, who),
               now.withheld_bytes + now.withheld_ends > 0);
        break;
      default:
        record(fmt::format("{} pieces of {} delayed by {} each", now.delayed - before_.delayed, who,
                           format_duration(plan_.duration)),
               now.delayed > before_.delayed);
    }
    evidence_ += tail_;
  }

 private:
  SideChannel& channel() const { return *yard_.side_channel; }

  SideChannel::Counts before_;
  int64_t end_ns_ = 0;
  std::string tail_;
};

}  // namespace

ActionPointer make_side_channel_action(const FaultPlan& plan, FaultYard& yard) {
  switch (plan.kind) {
    case FaultKind::side_channel_refuse:
    case FaultKind::side_channel_cut:
    case FaultKind::side_channel_hang:
    case FaultKind::side_channel_slow:
      return std::make_unique<SideChannelAction>(plan, yard);
    default:
      return nullptr;
  }
}

}  // namespace railyard::harness
