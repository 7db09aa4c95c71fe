// The "faults" section: what is broken, and when.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "railyard/nearest.h"
#include "scenario/sections.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

struct Kind {
  FaultKind kind;
  const char* name;
  std::vector<std::string> keys;  // beside when, do and expect
  bool by_verb;                   // fires in a call of a verb, armed in the fabric
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> known = {
      {FaultKind::cable_unplug, "cable.unplug", {"cables", "cable"}, false},
      {FaultKind::cable_plug, "cable.plug", {"cables", "cable"}, false},
      {FaultKind::cable_swap, "cable.swap", {"cables", "end"}, false},
      {FaultKind::receive_delay_until_arrival, "receive.delay-until-arrival", {}, true},
      {FaultKind::verb_fail, "verb.fail", {"errno"}, true},
      {FaultKind::verb_block, "verb.block", {}, true},
      {FaultKind::verb_delay, "verb.delay", {"for"}, true},
      {FaultKind::rank_kill, "rank.kill", {"rank"}, false},
      {FaultKind::rank_stop, "rank.stop", {"rank", "for"}, false},
      {FaultKind::rank_resume, "rank.resume", {"rank"}, false},
  };
  return known;
}

struct ErrnoName {
  const char* name;
  int number;
};
constexpr ErrnoName kErrnos[] = {
    {"EPERM", EPERM},         {"EINTR", EINTR},          {"EIO", EIO},
    {"EAGAIN", EAGAIN},       {"ENOMEM", ENOMEM},        {"EACCES", EACCES},
    {"EFAULT", EFAULT},       {"EBUSY", EBUSY},          {"ENODEV", ENODEV},
    {"EINVAL", EINVAL},       {"EMFILE", EMFILE},        {"ENOSPC", ENOSPC},
    {"ENOSYS", ENOSYS},       {"EPROTO", EPROTO},        {"EOPNOTSUPP", EOPNOTSUPP},
    {"ENETDOWN", ENETDOWN},   {"ENOBUFS", ENOBUFS},      {"EHOSTUNREACH", EHOSTUNREACH},
    {"ETIMEDOUT", ETIMEDOUT}, {"ECONNRESET", ECONNRESET}};

int read_errno(const Reader& reader) {
  if (reader.is_number()) return static_cast<int>(reader.whole(1, 4095));
  std::vector<std::string> names;
  for (const ErrnoName& entry : kErrnos) {
    names.push_back(entry.name);
    if (reader.text() == entry.name) return entry.number;
  }
  reader.fail(
      fmt::format("'{}' is no errno known here; {}", reader.text(), suggest(reader.text(), names)));
}

int read_rank(const Reader& reader, int ranks) {
  return static_cast<int>(reader.whole(0, static_cast<uint64_t>(ranks) - 1));
}

Trigger::AtOperation read_at_operation(const Reader& when, const Scenario& scenario) {
  if (!scenario.program.empty()) {
    when.fail("a program's operations are not known; use \"after\" or a verb");
  }
  Trigger::AtOperation at;
  at.rank = read_rank(when.at("rank"), scenario.cluster.ranks);
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
    found = names.begin() + static_cast<std::ptrdiff_t>(index);
  }
  if (found == names.end()) {
    when.at("op").fail(fmt::format("the workload has no '{}'; {}", name, suggest(name, names)));
  }
  at.operation = static_cast<uint32_t>(found - names.begin());
  if (when.has("iteration")) {
    uint64_t repeat = scenario.operations[at.operation].repeat;
    Reader iteration = when.at("iteration");
    at.iteration = static_cast<uint32_t>(iteration.whole(0, 0xffffffff));
    if (at.iteration >= repeat) {
      iteration.fail(fmt::format("{} is repeated {} times; name an iteration from 0 to {}", name,
                                 repeat, repeat - 1));
    }
  }
  return at;
}

Trigger read_trigger(const Reader& when, const Kind& kind, const Scenario& scenario) {
  when.object({"after", "rank", "op", "operation", "iteration", "verb", "nth", "times"});
  Trigger trigger;
  bool verb = when.has("verb") || kind.by_verb;
  if (verb && !kind.by_verb) {
    when.at("verb").fail(
        fmt::format("{} fires at a time or an operation; use \"after\" or \"op\"", kind.name));
  }
  if (kind.by_verb && (when.has("after") || when.has("op"))) {
    when.fail(
        fmt::format("{} fires in a call of a verb; use \"rank\", \"verb\" and \"nth\"", kind.name));
  }
  if (when.has("after")) {
    if (when.has("rank") || when.has("op"))
      when.fail("\"after\" stands alone; drop the other keys");
    trigger.after = when.at("after").duration();
    trigger.text = fmt::format("{} after the start", format_duration(*trigger.after));
  } else if (verb) {
    Trigger::AtVerb at;
    at.rank = read_rank(when.at("rank"), scenario.cluster.ranks);
    bool receive = kind.kind == FaultKind::receive_delay_until_arrival;
    at.verb = receive && !when.has("verb") ? "ibv_post_recv" : when.at("verb").text();
    if (receive && at.verb != "ibv_post_recv") {
      when.at("verb").fail(fmt::format("{} acts on ibv_post_recv alone", kind.name));
    }
    if (at.verb.rfind("ibv_", 0) != 0) {
      when.at("verb").fail(fmt::format("'{}' is no verb; write ibv_{}", at.verb, at.verb));
    }
    if (when.has("nth")) at.nth = when.at("nth").whole(1, uint64_t{1} << 40);
    if (when.has("times")) at.times = when.at("times").whole(1, uint64_t{1} << 40);
    trigger.text = fmt::format("rank {} in call {} of {}", at.rank, at.nth, at.verb);
    trigger.at_verb = at;
  } else {
    if (!when.has("op")) when.fail("this names no moment; add \"after\", \"op\" or \"verb\"");
    trigger.at_operation = read_at_operation(when, scenario);
    trigger.text = fmt::format("rank {} before iteration {} of {}", trigger.at_operation->rank,
                               trigger.at_operation->iteration, when.at("op").text());
  }
  return trigger;
}

void read_cables(const Reader& entry, const Scenario& scenario, FaultPlan& fault) {
  std::vector<std::string> known;
  for (const fabric::CableSpec& cable : scenario.cluster.spec.cables) known.push_back(cable.name);
  auto check = [&](const Reader& name) {
    if (std::find(known.begin(), known.end(), name.text()) == known.end()) {
      name.fail(
          fmt::format("there is no cable '{}'; {}", name.text(), suggest(name.text(), known)));
    }
    fault.cables.push_back(name.text());
  };
  if (entry.has("cable")) {
    check(entry.at("cable"));
  } else {
    for (const Reader& name : entry.at("cables").elements()) check(name);
  }
  if (fault.kind != FaultKind::cable_swap) {
    if (fault.cables.empty()) entry.at("cables").fail("name at least one cable");
    return;
  }
  if (fault.cables.size() != 2) entry.at("cables").fail("a swap takes two cables");
  std::vector<std::string> nodes;
  for (const fabric::NodeSpec& node : scenario.cluster.spec.nodes) nodes.push_back(node.name);
  fault.node = entry.at("end").one_of(nodes);
}

FaultPlan read_fault(const Reader& entry, const Scenario& scenario) {
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) names.push_back(kind.name);
  entry.members();  // an object
  FaultPlan fault;
  fault.name = entry.at("do").one_of(names);
  const Kind& kind = *std::find_if(kinds().begin(), kinds().end(),
                                   [&](const Kind& each) { return each.name == fault.name; });
  fault.kind = kind.kind;
  std::vector<std::string> keys = {"when", "do", "expect"};
  keys.insert(keys.end(), kind.keys.begin(), kind.keys.end());
  entry.object(keys);
  fault.when = read_trigger(entry.at("when"), kind, scenario);

  auto takes = [&](const char* key) {
    return std::find(kind.keys.begin(), kind.keys.end(), key) != kind.keys.end();
  };
  if (takes("cables")) read_cables(entry, scenario, fault);
  if (takes("errno")) fault.error_number = read_errno(entry.at("errno"));
  if (takes("rank")) {
    if (entry.has("rank")) {
      fault.rank = read_rank(entry.at("rank"), scenario.cluster.ranks);
    } else if (fault.when.at_operation) {
      fault.rank = fault.when.at_operation->rank;
    } else {
      entry.at("rank");  // fails: missing
    }
  }
  if (takes("for")) {
    bool needed = fault.kind == FaultKind::verb_delay;
    if (needed || entry.has("for")) fault.duration = entry.at("for").duration();
  }
  if (entry.has("expect")) {
    std::string outcome = entry.at("expect").one_of({"fired", "did-not-fire", "no-change"});
    if (outcome == "did-not-fire") fault.expected = FaultOutcome::did_not_fire;
    if (outcome == "no-change") fault.expected = FaultOutcome::no_change;
  }
  return fault;
}

}  // namespace

std::vector<FaultPlan> read_faults(const Reader& reader, const Scenario& scenario) {
  std::vector<FaultPlan> faults;
  for (const Reader& entry : reader.elements()) faults.push_back(read_fault(entry, scenario));
  return faults;
}

}  // namespace railyard::harness
