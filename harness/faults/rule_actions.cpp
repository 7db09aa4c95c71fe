// Faults of calls, messages and limits on hosts: rules of the library in front of the device's own.
#include <fmt/format.h>

#include <algorithm>

#include "faults/action.h"
#include "faults/rules.h"
#include "scenario/units.h"

namespace railyard::harness {

namespace {

constexpr const char* kResources[] = {"contexts", "protection-domains", "completion-queues",
                                      "queue-pairs", "memory-regions"};

// Where the library looks at calls; the others pass it unseen.
constexpr const char* kSeen[] = {"ibv_get_device_list", "ibv_open_device", "ibv_close_device",
                                 "ibv_query_device",    "ibv_query_port",  "ibv_query_gid",
                                 "ibv_alloc_pd",        "ibv_dealloc_pd",  "ibv_reg_mr",
                                 "ibv_dereg_mr",        "ibv_create_cq",   "ibv_destroy_cq",
                                 "ibv_create_qp",       "ibv_modify_qp",   "ibv_destroy_qp",
                                 "ibv_post_send",       "ibv_post_recv",   "ibv_poll_cq"};

bool seen(const std::string& verb) {
  return std::find(std::begin(kSeen), std::end(kSeen), verb) != std::end(kSeen);
}

std::string gid_text(const FaultPlan& plan) {
  if (!plan.gid) return "empty";
  std::string text;
  for (size_t i = 0; i < 16; i += 2) {
    text += fmt::format("{}{:x}", i ? ":" : "", (*plan.gid)[i] << 8 | (*plan.gid)[i + 1]);
  }
  return text;
}

// What is done where the rule fires.
std::string deed(const FaultPlan& plan) {
  switch (plan.kind) {
    case FaultKind::verb_fail:
      return fmt::format("fail {}", plan.error_number);
    case FaultKind::verb_block:
      return "block";
    case FaultKind::completion_alter:
      return fmt::format("status {}", plan.error_number);
    case FaultKind::message_drop:
      return "drop";
    default:
      return fmt::format("delay {}ns", plan.duration.count());
  }
}

class RuleAction : public Action {
 public:
  RuleAction(const FaultPlan& plan, FaultYard& yard) : Action(plan, yard) {
    at_once_ = plan.fires_in_fabric() || (plan.when.after && plan.when.after->count() == 0);
    if (plan.kind == FaultKind::gid_set) {
      real_row_ = yard.devices->lead(gid_text(plan), plan.port);
    }
    rule_ = yard.devices->add(rank(), text());
    if (plan.kind == FaultKind::gid_set || plan.kind == FaultKind::gid_clear) {
      model_ = make_device_action(plan, yard);
    }
  }

  void strike() override {
    if (!at_once_) yard_.devices->arm(rule_);
    if (model_) model_->strike();
  }
  void tick(const fabric::Snapshot&) override { look(); }
  void conclude(const fabric::Snapshot&) override { look(); }

 private:
  void look() {
    DeviceFaults::Firings now = yard_.devices->firings(rule_);
    // A table is another one whether or not anybody looks into it.
    bool told = model_ && model_->fired();
    if (now.fired == 0 && !told) return;
    fired_ = true;
    changed_ = now.fired > 0 || model_->changed();
    at_ns_ = now.fired > 0 ? now.first_ns : model_->at_ns();
    evidence_ =
        fmt::format("the rule \"{}\" of rank {} fired {} times", text(), rule_.rank, now.fired);
  }

  // Of a message's fault: the end of the cable whose sends are struck.
  CableEnd sender() const {
    if (const auto& at = plan_.when.at_message) {
      return cable_end(yard_.scenario, at->cable, std::max(at->from_end, 0));
    }
    CableEnd first = cable_end(yard_.scenario, plan_.cables[0], 0);
    bool other = !plan_.node.empty() && first.port.rfind(plan_.node + "/", 0) != 0;
    return other ? cable_end(yard_.scenario, plan_.cables[0], 1) : first;
  }

  bool of_message() const { return plan_.name.rfind("message.", 0) == 0; }

  int rank() const {
    if (of_message()) return sender().rank;
    if (!plan_.port.empty()) return rank_of(plan_.port);
    return plan_.when.at_verb ? plan_.when.at_verb->rank : plan_.rank;
  }

  int rank_of(const std::string& port) const {
    std::string node = port.substr(0, port.find('/'));
    const auto& nodes = yard_.scenario.cluster.spec.nodes;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].name == node) return static_cast<int>(i);
    }
    return 0;
  }

  std::string text() const {
    std::string later = at_once_ ? "" : " later";
    if (plan_.kind == FaultKind::device_limit) {
      return fmt::format("limit {} {} device {}{}", kResources[static_cast<size_t>(plan_.resource)],
                         plan_.most ? std::to_string(*plan_.most) : "used-up",
                         yard_.devices->device(plan_.port), later);
    }
    if (plan_.kind == FaultKind::gid_set || plan_.kind == FaultKind::gid_clear) {
      return fmt::format(
          "at ibv_query_gid device {} times 0{} gid {} {}", yard_.devices->device(plan_.port),
          later, plan_.gid_index < 0 ? "all" : std::to_string(plan_.gid_index),
          gid_text(plan_) + (real_row_ < 0 ? "" : fmt::format(" real {}", real_row_)));
    }
    uint64_t nth = 1, times = plan_.times;
    std::string where;
    if (of_message()) {
      where = "ibv_post_send device " + yard_.devices->device(sender().port);
      if (const auto& at = plan_.when.at_message) nth = nth_send(*at), times = at->times;
    } else {
      const auto& at = plan_.when.at_verb;
      where = at ? at->verb : plan_.verb;
      if (at) nth = at->nth, times = at->times;
      if (plan_.kind == FaultKind::completion_alter) where = "completion";
    }
    return fmt::format("at {} nth {} times {}{} {}", where, nth, times, later, deed(plan_));
  }

  DeviceFaults::Rule rule_;
  ActionPointer model_;  // the fabric, the model of what the devices tell, has the same done to it
  bool at_once_ = false;
  int real_row_ = -1;
};

bool by_rule(FaultKind kind) {
  switch (kind) {
    case FaultKind::verb_fail:
    case FaultKind::verb_block:
    case FaultKind::verb_delay:
    case FaultKind::completion_alter:
    case FaultKind::message_drop:
    case FaultKind::message_delay:
    case FaultKind::device_limit:
    case FaultKind::gid_set:
    case FaultKind::gid_clear:
      return true;
    default:
      return false;
  }
}

}  // namespace

CableEnd cable_end(const Scenario& scenario, const std::string& cable, int end) {
  const fabric::ClusterSpec& spec = scenario.cluster.spec;
  for (const fabric::CableSpec& each : spec.cables) {
    if (each.name != cable) continue;
    const std::string& port = each.ends[end];
    for (size_t node = 0; node < spec.nodes.size(); ++node) {
      if (spec.nodes[node].name == port.substr(0, port.find('/')))
        return {static_cast<int>(node), port};
    }
  }
  return {};
}

bool moves_plugs(const FaultPlan& plan) { return plan.name.rfind("cable.", 0) == 0; }

std::string obstacle_on_hosts(const FaultPlan& plan) {
  switch (plan.kind) {
    case FaultKind::link_shape:
      return "a real link cannot be shaped";
    case FaultKind::message_corrupt:
    case FaultKind::message_duplicate:
    case FaultKind::message_hold:
    case FaultKind::message_release:
      return fmt::format("{} takes a hold of the wire", plan.name);
    case FaultKind::receive_delay_until_arrival:
      return "a real device does not tell that a message has come before its receive";
    case FaultKind::device_fail:
      return "a real device is not broken on purpose";
    case FaultKind::gid_set:
    case FaultKind::gid_clear:
      if (plan.when.after && plan.when.after->count() == 0) break;
      return "a real device keeps its GIDs; what is told of them changes before the start alone";
    default:
      break;
  }
  const auto& at = plan.when.at_verb;
  std::string verb = at ? at->verb : plan.verb;
  if (!verb.empty() && plan.kind != FaultKind::completion_alter && !seen(verb)) {
    return fmt::format("calls of {} are not seen on hosts", verb);
  }
  return "";
}

ActionPointer make_rule_action(const FaultPlan& plan, FaultYard& yard) {
  return by_rule(plan.kind) ? std::make_unique<RuleAction>(plan, yard) : nullptr;
}

}  // namespace railyard::harness
