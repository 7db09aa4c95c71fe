// When a fault fires: the "when" of an entry.
#include <fmt/format.h>

#include <algorithm>

#include "railyard/nearest.h"
#include "scenario/fault_types.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

constexpr uint64_t kMost = uint64_t{1} << 40;

Trigger at_time(const Reader& when) {
  when.object({"after"});
  Trigger trigger;
  trigger.after = when.at("after").duration();
  trigger.text = trigger.after->count() == 0
                     ? "before the start"
                     : fmt::format("{} after the start", format_duration(*trigger.after));
  return trigger;
}

uint32_t find_operation(const Reader& when, const Scenario& scenario) {
  std::string name = when.at("op").text();
  std::vector<std::string> names;
  for (const OperationPlan& plan : scenario.operations) names.push_back(plan.name);
  auto found = std::find(names.begin(), names.end(), name);
  if (when.has("operation")) {
    uint64_t index = when.at("operation").whole(0, names.empty() ? 0 : names.size() - 1);
    if (names.empty() || names[index] != name) {
      when.at("operation")
          .fail(fmt::format("operation {} of the workload is not '{}'", index, name));
    }
    return static_cast<uint32_t>(index);
  }
  if (found == names.end()) {
    when.at("op").fail(fmt::format("the workload has no '{}'; {}", name, suggest(name, names)));
  }
  return static_cast<uint32_t>(found - names.begin());
}

Trigger at_operation(const Reader& when, const Scenario& scenario) {
  when.object({"rank", "op", "operation", "iteration"});
  if (!scenario.program.empty()) {
    when.fail("a program's operations are not known; use \"after\", \"verb\" or \"message\"");
  }
  Trigger::AtOperation at;
  at.rank = read_rank(when.at("rank"), scenario);
  at.operation = find_operation(when, scenario);
  const OperationPlan& operation = scenario.operations[at.operation];
  if (when.has("iteration")) {
    Reader iteration = when.at("iteration");
    at.iteration = static_cast<uint32_t>(iteration.whole(0, 0xffffffff));
    if (at.iteration >= operation.repeat) {
      iteration.fail(fmt::format("{} is repeated {} times; name an iteration from 0 to {}",
                                 operation.name, operation.repeat, operation.repeat - 1));
    }
  }
  Trigger trigger;
  trigger.at_operation = at;
  trigger.text =
      fmt::format("rank {} before iteration {} of {}", at.rank, at.iteration, operation.name);
  return trigger;
}

// Some faults have a verb of their own.
std::string verb_of(const Reader& when, const FaultType& type) {
  std::string own = type.kind == FaultKind::receive_delay_until_arrival ? "ibv_post_recv"
                    : type.kind == FaultKind::completion_alter          ? "ibv_poll_cq"
                                                                        : "";
  if (!when.has("verb")) return own.empty() ? read_verb(when.at("verb")) : own;
  std::string verb = read_verb(when.at("verb"));
  if (!own.empty() && verb != own) {
    when.at("verb").fail(fmt::format("{} acts on {} alone", type.name, own));
  }
  return verb;
}

Trigger at_verb(const Reader& when, const FaultType& type, const Scenario& scenario) {
  bool several = type.family == FaultFamily::verb;
  when.object(several ? std::vector<std::string>{"rank", "verb", "nth", "times"}
                      : std::vector<std::string>{"rank", "verb", "nth"});
  Trigger::AtVerb at;
  at.rank = read_rank(when.at("rank"), scenario);
  at.verb = verb_of(when, type);
  if (when.has("nth")) at.nth = when.at("nth").whole(1, kMost);
  if (when.has("times")) at.times = when.at("times").whole(1, kMost);
  Trigger trigger;
  trigger.text = type.kind == FaultKind::completion_alter
                     ? fmt::format("rank {} at its completion {}", at.rank, at.nth)
                     : fmt::format("rank {} in call {} of {}", at.rank, at.nth, at.verb);
  trigger.at_verb = at;
  return trigger;
}

Trigger at_message(const Reader& when, const FaultType& type, const Scenario& scenario) {
  bool several = type.family == FaultFamily::message;
  when.object(several ? std::vector<std::string>{"cable", "from", "message", "times"}
                      : std::vector<std::string>{"cable", "from", "message"});
  if (type.family == FaultFamily::verb) {
    when.at("message").fail(fmt::format("{} fires in a call of a verb; use \"verb\"", type.name));
  }
  Trigger::AtMessage at;
  at.cable = read_cable(when.at("cable"), scenario);
  at.nth = when.at("message").whole(1, kMost);
  if (when.has("times")) at.times = when.at("times").whole(1, kMost);
  std::string from;
  if (when.has("from")) {
    at.from_end = read_end(when.at("from"), at.cable, scenario);
    from = " from " + when.at("from").text();
  }
  Trigger trigger;
  trigger.at_message = at;
  trigger.text = fmt::format("at message {}{} on {}", at.nth, from, at.cable);
  return trigger;
}

}  // namespace

Trigger read_trigger(const Reader& when, const FaultType& type, const Scenario& scenario) {
  when.object({"after", "rank", "op", "operation", "iteration", "verb", "nth", "times", "cable",
               "from", "message"});
  std::vector<std::string> moments;
  for (const char* key : {"after", "op", "verb", "message"}) {
    if (when.has(key)) moments.push_back(key);
  }
  if (moments.size() > 1) {
    when.fail(fmt::format("'{}' and '{}' name two moments; keep one", moments[0], moments[1]));
  }
  if (when.has("after")) return at_time(when);
  if (when.has("op")) return at_operation(when, scenario);
  if (when.has("message")) return at_message(when, type, scenario);
  bool own_verb = type.kind == FaultKind::receive_delay_until_arrival ||
                  type.kind == FaultKind::completion_alter;
  if (when.has("verb") || own_verb) return at_verb(when, type, scenario);
  when.fail("this names no moment; add \"after\", \"op\", \"verb\" or \"message\"");
}

}  // namespace railyard::harness
