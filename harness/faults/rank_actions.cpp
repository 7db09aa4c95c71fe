// Faults of ranks: killed, stopped, resumed, slowed; and data that its producer has not finished.
#include <fmt/format.h>
#include <signal.h>

#include "faults/action.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

class RankAction : public Action {
 public:
  using Action::Action;

 protected:
  RankHandle& rank() const { return yard_.ranks[static_cast<size_t>(plan_.rank)]; }
  std::string who() const { return fmt::format("rank {} (pid {})", plan_.rank, rank().pid()); }
  // Fires; false: there is nobody left to strike.
  bool fire_on_living() {
    fire();
    if (rank().alive()) return true;
    record(fmt::format("rank {} had ended already", plan_.rank), false);
    return false;
  }
  void stop() {
    rank().signal(SIGSTOP);
    rank().stopped = true;
  }
  void resume() {
    if (rank().alive()) rank().signal(SIGCONT);
    rank().stopped = false;
  }
};

class KillAction : public RankAction {
 public:
  using RankAction::RankAction;
  void strike() override {
    if (!fire_on_living()) return;
    rank().killed_by_fault();
    rank().signal(SIGKILL);
    record(who() + " killed", true);
  }
};

class StopAction : public RankAction {
 public:
  using RankAction::RankAction;
  void strike() override {
    if (!fire_on_living()) return;
    bool before = rank().stopped;
    stop();
    record(who() + (before ? " was stopped already" : " stopped"), !before);
    if (plan_.duration.count() > 0) resume_at_ns_ = at_ns_ + plan_.duration.count();
  }
  void tick(const fabric::Snapshot&) override {
    int64_t now = yard_.fabric.now_ns();
    if (resume_at_ns_ == 0 || now < resume_at_ns_) return;
    resume_at_ns_ = 0;
    if (!rank().alive()) return;
    resume();
    record("resumed after " + format_ns(now - at_ns_), true);
  }
  bool pending() const override { return resume_at_ns_ != 0; }

 private:
  int64_t resume_at_ns_ = 0;
};

class ResumeAction : public RankAction {
 public:
  using RankAction::RankAction;
  void strike() override {
    if (!fire_on_living()) return;
    bool before = rank().stopped;
    resume();
    record(who() + (before ? " resumed" : " was not stopped"), before);
  }
};

// Stopped and resumed in turn, as if it had a part of a processor alone.
class SlowAction : public RankAction {
 public:
  using RankAction::RankAction;
  void strike() override {
    if (!fire_on_living()) return;
    end_ns_ = at_ns_ + plan_.duration.count();
    record(fmt::format("{} left with {:.0f} % of its time", who(), plan_.share * 100), true);
    turn(at_ns_);
  }
  void tick(const fabric::Snapshot&) override {
    int64_t now = yard_.fabric.now_ns();
    if (end_ns_ == 0 || (now < next_ns_ && now < end_ns_)) return;
    if (now < end_ns_ && rank().alive()) return turn(now);
    end_ns_ = 0;
    resume();
    record(fmt::format("stopped {} times", stops_), true);
  }
  bool pending() const override { return end_ns_ != 0; }

 private:
  static constexpr int64_t kPeriodNs = 20'000'000;

  void turn(int64_t now) {
    if (rank().stopped) {
      resume();
      next_ns_ = now + static_cast<int64_t>(static_cast<double>(kPeriodNs) * plan_.share);
    } else {
      stop();
      ++stops_;
      next_ns_ = now + static_cast<int64_t>(static_cast<double>(kPeriodNs) * (1 - plan_.share));
    }
  }

  int64_t end_ns_ = 0, next_ns_ = 0;
  int stops_ = 0;
};

// The worker itself leaves the end of its input to a producer that is late.
class StaleAction : public RankAction {
 public:
  using RankAction::RankAction;
  void strike() override {
    if (!fire_on_living()) return;
    yard_.pages[static_cast<size_t>(plan_.rank)]->stale_requests.fetch_add(1);
  }
  void conclude(const fabric::Snapshot&) override {
    if (!fired_) return;
    const WorkerPage& page = *yard_.pages[static_cast<size_t>(plan_.rank)];
    bool done = page.stale_inputs.load() > 0;
    record(fmt::format("rank {} {}", plan_.rank,
                       done ? "gave an input whose last part was written only afterwards"
                            : "gave no input to that operation"),
           done);
  }
};

}  // namespace

ActionPointer make_rank_action(const FaultPlan& plan, FaultYard& yard) {
  switch (plan.kind) {
    case FaultKind::rank_kill:
      return std::make_unique<KillAction>(plan, yard);
    case FaultKind::rank_stop:
      return std::make_unique<StopAction>(plan, yard);
    case FaultKind::rank_resume:
      return std::make_unique<ResumeAction>(plan, yard);
    case FaultKind::rank_slow:
      return std::make_unique<SlowAction>(plan, yard);
    case FaultKind::data_stale:
      return std::make_unique<StaleAction>(plan, yard);
    default:
      return nullptr;
  }
}

}  // namespace railyard::harness
