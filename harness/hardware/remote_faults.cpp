// How faults reach hosts: relays beside the ranks, rules in them, commands and hands at the cables.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "hardware/remote_ranks.h"

namespace railyard::harness {

using nlohmann::json;

void RemoteRanks::move_relay(int rank, const json& act) {
  for (size_t i = 1; i < ranks_.size(); ++i) {
    if (rank >= 0 && static_cast<size_t>(rank) != i) continue;
    hosts_.link(static_cast<int>(i)).send(act);
  }
}

void RemoteRanks::refuse(int rank, bool on) {
  move_relay(rank, {{"do", "side-channel"}, {"act", "refuse"}, {"on", on}});
}

void RemoteRanks::cut(int rank) { move_relay(rank, {{"do", "side-channel"}, {"act", "cut"}}); }

void RemoteRanks::hang(int rank, bool on) {
  move_relay(rank, {{"do", "side-channel"}, {"act", "hang"}, {"on", on}});
}

void RemoteRanks::slow(int rank, std::chrono::nanoseconds delay) {
  move_relay(rank, {{"do", "side-channel"}, {"act", "slow"}, {"delay_ns", delay.count()}});
}

SideChannel::Counts RemoteRanks::counts(int rank) const {
  Counts sum;
  for (size_t i = 1; i < ranks_.size(); ++i) {
    if (rank >= 0 && static_cast<size_t>(rank) != i) continue;
    HostLink& link = hosts_.link(static_cast<int>(i));
    try {
      json told = link.ask({{"do", "side-channel"}, {"act", "count"}}, "side-channel");
      sum.accepted += told["accepted"].get<uint64_t>();
      sum.cut += told["cut"].get<uint64_t>();
      sum.withheld_bytes += told["withheld_bytes"].get<uint64_t>();
      sum.withheld_ends += told["withheld_ends"].get<uint64_t>();
      sum.delayed += told["delayed"].get<uint64_t>();
    } catch (const std::exception&) {
      // A lost host counts nothing; that it is lost is told elsewhere.
    }
  }
  return sum;
}

DeviceFaults::Rule RemoteRanks::add(int rank, const std::string& rule) {
  auto& rules = ranks_[static_cast<size_t>(rank)].rules;
  rules.push_back(rule);
  return {rank, static_cast<int>(rules.size()) - 1};
}

void RemoteRanks::arm(const Rule& rule) {
  hosts_.link(rule.rank).send({{"do", "rule"}, {"number", rule.number}, {"armed", true}});
}

void RemoteRanks::release(const Rule& rule) {
  hosts_.link(rule.rank).send({{"do", "rule"}, {"number", rule.number}, {"released", true}});
}

DeviceFaults::Firings RemoteRanks::firings(const Rule& rule) const {
  const json& told = ranks_[static_cast<size_t>(rule.rank)].state;
  auto number = static_cast<size_t>(rule.number);
  if (!told.is_object() || number >= told["rules"].size()) return {};
  const json& words = told["rules"][number];
  return {words[0], words[1], to_fabric_ns(rule.rank, words[2])};
}

int RemoteRanks::lead(const std::string& gid, const std::string& port) {
  int owner = 0;
  const auto& nodes = scenario_.cluster.spec.nodes;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (port.rfind(nodes[i].name + "/", 0) == 0) owner = static_cast<int>(i);
  }
  int row = -1;
  std::string real;
  for (const json& each : hosts_.devices(owner)) {
    if (each["name"] != placement_.device(port) || !each.contains("gids")) continue;
    for (size_t i = 0; i < each["gids"].size(); ++i) {
      std::string text = each["gids"][i];
      // The address of an interface is what others connect to, where there is one.
      if (!real.empty() && text.rfind("::ffff:", 0) != 0) continue;
      real = text;
      row = each["gid_rows"][i];
    }
  }
  if (real.empty()) return -1;
  for (Rank& rank : ranks_) rank.rules.push_back(fmt::format("address {} real {}", gid, real));
  return row;
}

namespace {

// Waits for a line of somebody's, or for the end of the run.
bool confirmed(const std::atomic<int>* interrupt) {
  for (;;) {
    if (interrupt && interrupt->load() != 0) return false;
    pollfd readable{STDIN_FILENO, POLLIN, 0};
    if (poll(&readable, 1, 100) <= 0) continue;
    std::string line;
    return static_cast<bool>(std::getline(std::cin, line)) && line != "no";
  }
}

}  // namespace

std::string RemoteRanks::by_hand(const FaultPlan& plan, const std::string& what, bool& done) {
  std::vector<std::string> cables;
  std::string commands;
  for (const std::string& name : plan.cables) {
    cables.push_back(placement_.cable_text(name));
    const HostCable* cable = placement_.cable(name);
    std::string command = !cable                                 ? ""
                          : plan.kind == FaultKind::cable_unplug ? cable->unplug
                          : plan.kind == FaultKind::cable_plug   ? cable->plug
                                                                 : "";
    if (!command.empty()) commands += (commands.empty() ? "" : " && ") + command;
  }
  const std::string& hand = hosts_.options().hand_command;
  if (commands.empty() && !hand.empty()) {
    commands = fmt::format("{} {} {} {} {}", hand, plan.name, fmt::join(plan.cables, " "),
                           plan.node.empty() ? "" : "end=" + plan.node,
                           plan.port.empty() ? "" : "to=" + plan.port);
  }
  if (!commands.empty()) {
    int status = std::system(commands.c_str());
    done = status == 0;
    return fmt::format("by `{}`{}", commands, done ? "" : ", which failed");
  }
  fmt::print(stderr,
             "\n>>> Now: {} ({}), and press Enter; write \"no\" if it cannot be done: ", what,
             fmt::join(cables, ", "));
  std::fflush(stderr);
  int64_t asked_ns = monotonic_ns();
  done = confirmed(options_.interrupt);
  waited_ns_ += monotonic_ns() - asked_ns;
  return done ? "by hand" : "nobody did it";
}

}  // namespace railyard::harness
