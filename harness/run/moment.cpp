#include "run/moment.h"

namespace railyard::harness {

namespace {

RankActivity in_the_fabric(const ProcessState& state, const fabric::ProcessView* now,
                           const fabric::ProcessView* before) {
  if (state.kind == ProcessState::Kind::stopped) return RankActivity::stopped;
  if (now && before && now->progress != before->progress) return RankActivity::working;
  if (now && now->activity == fabric::Activity::blocked) return RankActivity::blocked;
  if (now && now->activity == fabric::Activity::polling) return RankActivity::waiting;
  return state.waits ? RankActivity::asleep : RankActivity::working;
}

}  // namespace

RankMoment moment_of(const WorkerPage& page, bool alive, const ProcessState& state,
                     const fabric::ProcessView* now, const fabric::ProcessView* before,
                     bool keeps_page) {
  RankMoment moment;
  moment.alive = alive;
  moment.activity = in_the_fabric(state, now, before);
  if (!keeps_page) return moment;
  Phase phase = page.current_phase();
  Position position = page.position.load(std::memory_order_acquire);
  bool inside = phase == Phase::operation || phase == Phase::computing;
  if (inside && position != kNowhere) {
    moment.operation = static_cast<int>(operation_of(position));
    moment.iteration = iteration_of(position);
  }
  if (moment.activity == RankActivity::stopped || moment.activity == RankActivity::blocked) {
    return moment;
  }
  if (phase == Phase::starting) moment.activity = RankActivity::starting;
  if (phase == Phase::computing) moment.activity = RankActivity::computing;
  if (phase == Phase::done || phase == Phase::failed || phase == Phase::leaving) {
    moment.activity = RankActivity::leaving;
  }
  return moment;
}

}  // namespace railyard::harness
